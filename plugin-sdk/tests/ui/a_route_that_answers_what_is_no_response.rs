use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {
    /// Signs webhooks.
    webhook_secret: Secret,
    /// Where the shop is.
    shop: String,
}

#[plugin]
impl Plugin {
    /// Takes it.
    #[route(post, "/things", auth = public)]
    async fn take(&self, _ctx: &Context) -> Result<u32, RouteError> {
        Ok(5)
    }
}

fn main() {}
