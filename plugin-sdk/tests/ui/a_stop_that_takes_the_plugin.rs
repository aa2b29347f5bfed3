use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    #[stop]
    async fn stop(self) {}
}

fn main() {}
