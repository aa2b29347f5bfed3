use coordinator_sdk::prelude::*;

/// A thing happened.
#[message("org.example.thing.happened.v1")]
pub enum Thing {
    Happened,
}

fn main() {}
