use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[check]
    async fn it(&self, _ctx: &Context) -> String {
        String::new()
    }
}

fn main() {}
