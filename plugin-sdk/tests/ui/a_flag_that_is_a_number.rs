use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub struct Switches {
    /// How much.
    new_checkout: u32,
}

fn main() {}
