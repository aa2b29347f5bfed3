use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub enum Plugin {
    /// None.
    None,
}

fn main() {}
