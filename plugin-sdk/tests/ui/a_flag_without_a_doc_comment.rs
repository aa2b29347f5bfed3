use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub struct Switches {
    new_checkout: bool,
}

fn main() {}
