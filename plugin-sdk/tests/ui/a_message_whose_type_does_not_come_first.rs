use coordinator_sdk::prelude::*;

/// A thing happened.
#[message(key = "id")]
pub struct Thing {
    pub id: String,
}

fn main() {}
