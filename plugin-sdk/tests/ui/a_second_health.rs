use coordinator_sdk::prelude::*;

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    #[health]
    async fn health(&self, _ctx: &Context) -> Result<(), HealthError> {
        Ok(())
    }

    #[health]
    async fn well(&self, _ctx: &Context) -> Result<(), HealthError> {
        Ok(())
    }
}

fn main() {}
