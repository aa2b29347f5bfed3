use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[schedule("0 3 * * *", backoff = "1s, 5s")]
    async fn it(&self, _ctx: &Context) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
