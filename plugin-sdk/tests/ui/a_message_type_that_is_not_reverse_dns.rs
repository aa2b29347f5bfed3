use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("Thing.Happened.v1")]
pub struct Thing {
    pub id: String,
}

fn main() {}
