use coordinator_sdk::prelude::*;

#[message("org.example.thing.happened.v1")]
pub struct Thing {
    pub id: String,
}

fn main() {}
