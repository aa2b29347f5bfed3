use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[check(severity = "error")]
    async fn it(&self, _ctx: &Context) -> Vec<Finding> {
        Vec::new()
    }
}

fn main() {}
