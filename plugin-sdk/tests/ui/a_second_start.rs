use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    #[start]
    async fn start(settings: Plugin, _ctx: &Context) -> Result<Self, StartError> {
        Ok(settings)
    }

    #[start]
    async fn start_again(settings: Plugin, _ctx: &Context) -> Result<Self, StartError> {
        Ok(settings)
    }
}

fn main() {}
