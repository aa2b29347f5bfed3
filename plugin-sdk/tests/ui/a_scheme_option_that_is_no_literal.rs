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
    #[route(post, "/things", verify = stripe(webhook_secret, tolerance = 60 * 5))]
    async fn take(&self, _ctx: &Context) -> Result<Response, RouteError> {
        Ok(Response::ok())
    }
}

fn main() {}
