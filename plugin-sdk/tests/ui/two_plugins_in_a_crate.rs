use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct One {}

#[plugin]
impl One {}

/// Settings.
#[settings]
pub struct Other {}

#[plugin]
impl Other {}

fn main() {}
