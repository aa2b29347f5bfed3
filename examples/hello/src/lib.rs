//! Greets whoever is named, durably.
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;

/// Somebody is to be greeted.
#[message("org.example.greeting.asked.v1", key = "name")]
pub struct GreetingAsked {
    /// Whom to greet.
    pub name: String,
}

/// Settings of the greeter.
#[settings]
pub struct Hello {
    /// What to say before the name.
    #[setting(default = "Hello")]
    greeting: String,
}

#[plugin]
impl Hello {
    /// Asks for a greeting.
    #[route(post, "/greetings", auth = public)]
    async fn ask(&self, ctx: &Context, asked: Json<GreetingAsked>) -> Result<Response, RouteError> {
        ctx.publish(asked.0).await?;
        Ok(Response::accepted())
    }

    /// Greets. A name is personal: it stays out of the log.
    #[handler]
    async fn greet(&self, _ctx: &Context, asked: GreetingAsked) -> Result<(), HandlerError> {
        tracing::info!(letters = asked.name.chars().count(), "{}!", self.greeting);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
