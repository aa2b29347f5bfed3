use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[command]
    async fn it(&self, _ctx: &Context) -> Result<u32, CommandError> {
        Ok(1)
    }
}

fn main() {}
