use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[command(timeot = "2s")]
    async fn it(&self, _ctx: &Context) -> Result<String, CommandError> {
        Ok(String::new())
    }
}

fn main() {}
