use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1")]
pub struct Thing {
    pub id: String,
}

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Takes it.
    #[handler(emits = Thing)]
    async fn take(&self, _ctx: &Context, _thing: Thing) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
