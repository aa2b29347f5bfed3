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
    #[step("org.example.basket.price.v1")]
    async fn it(&self, _ctx: &Context, value: Value) -> Result<Flow<u32>, StepError> {
        Ok(Flow::Halt(value.n))
    }
}

fn main() {}
