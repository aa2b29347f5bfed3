use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
pub struct Other {}

fn main() {}
