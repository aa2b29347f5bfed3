use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened")]
pub struct Thing {
    pub id: String,
}

fn main() {}
