use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1")]
pub struct Thing<T> {
    pub id: T,
}

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Takes it.
    #[handler]
    async fn take(&self, _ctx: &Context, _thing: Thing<String>) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
