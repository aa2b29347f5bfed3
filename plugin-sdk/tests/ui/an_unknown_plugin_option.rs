use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin(tokyo)]
impl Plugin {
}

fn main() {}
