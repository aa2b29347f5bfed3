use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub struct Switches(bool);

fn main() {}
