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
    #[step("org.example.basket.price.v1", runs = ["org.example.other"])]
    async fn it(&self, _ctx: &Context, value: Value) -> Result<Flow<Value>, StepError> {
        Ok(Flow::Continue(value))
    }
}

fn main() {}
