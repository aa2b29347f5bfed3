use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {
    webhook_key: Secret,
}

fn main() {}
