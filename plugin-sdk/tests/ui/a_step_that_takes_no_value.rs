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
    #[step("org.example.basket.price.v1")]
    async fn it(&self, _ctx: &Context) -> Result<Flow<Value>, StepError> {
        Ok(Flow::Halt(Value { n: 1 }))
    }
}

fn main() {}
