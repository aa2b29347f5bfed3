use coordinator_sdk::prelude::*;

/// Switches.
#[flags]
pub struct Switches {
    /// The new one.
    new_checkout: bool,
}

/// Settings.
#[settings]
pub struct Plugin {}


#[plugin]
impl Plugin {
    /// Does it.
    #[command]
    async fn it(&self, ctx: &Context) -> Result<String, CommandError> {
        Ok(ctx.flag(Switches::OLD_CHECKOUT).to_string())
    }
}

fn main() {}
