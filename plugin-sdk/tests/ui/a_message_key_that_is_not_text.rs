use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1", key = "id")]
pub struct Thing {
    pub id: Option<String>,
}

fn main() {}
