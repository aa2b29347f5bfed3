use coordinator_sdk::prelude::*;

/// A value.
pub struct Value {
    pub n: u32,
}

/// Settings.
#[settings]
pub struct Plugin {}

#[plugin]
impl Plugin {
    /// Does it.
    #[command]
    async fn it(&self, _ctx: &Context, value: Value) -> Result<String, CommandError> {
        Ok(value.n.to_string())
    }
}

fn main() {}
