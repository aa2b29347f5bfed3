use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1", lanes = "orders")]
pub struct Thing {
    pub id: String,
}

fn main() {}
