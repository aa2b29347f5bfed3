use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    #[start]
    async fn start(_ctx: &Context) -> Result<Self, StartError> {
        Ok(Self {})
    }
}

fn main() {}
