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
    #[check]
    async fn it(&self, _ctx: &Context, _value: Value) -> Vec<Finding> {
        Vec::new()
    }
}

fn main() {}
