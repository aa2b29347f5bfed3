use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {
    /// How many.
    #[setting(defualt = 5)]
    limit: u32,
}

fn main() {}
