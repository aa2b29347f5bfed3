use coordinator_sdk::prelude::*;

/// Settings.
#[settings(strict)]
pub struct Plugin {}

fn main() {}
