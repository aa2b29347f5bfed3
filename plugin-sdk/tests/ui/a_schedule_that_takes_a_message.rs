use coordinator_sdk::prelude::*;

/// A value.
#[data]
pub struct Value {
    pub n: u32,
}

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[schedule("0 3 * * *")]
    async fn it(&self, _ctx: &Context, _value: Value) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn main() {}
