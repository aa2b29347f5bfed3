use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Clone for Plugin {
    fn clone(&self) -> Self {
        Self {}
    }
}

fn main() {}
