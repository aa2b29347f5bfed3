use coordinator_sdk::prelude::*;

/// A thing happened.
#[message]
pub struct Thing {
    pub id: String,
}

fn main() {}
