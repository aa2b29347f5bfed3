use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin(name = "mine")]
impl Plugin {}

fn main() {}
