use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub enum Switches {
    On,
}

fn main() {}
