use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub struct Switches {
    /// The new one.
    #[flag(defualt = true)]
    new_checkout: bool,
}

fn main() {}
