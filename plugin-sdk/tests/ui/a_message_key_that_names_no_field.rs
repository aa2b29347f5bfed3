use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1", key = "ident")]
pub struct Thing {
    pub id: String,
}

fn main() {}
