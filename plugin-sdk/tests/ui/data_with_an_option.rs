use coordinator_sdk::prelude::*;

#[data(key = "id")]
pub struct Thing {
    pub id: String,
}

fn main() {}
