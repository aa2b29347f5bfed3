use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin(Secret);

fn main() {}
