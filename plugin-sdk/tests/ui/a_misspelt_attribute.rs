use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[comand]
    async fn it(&self, _ctx: &Context) -> Result<String, CommandError> {
        Ok(String::new())
    }
}

fn main() {}
