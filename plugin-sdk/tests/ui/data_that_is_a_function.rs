use coordinator_sdk::prelude::*;

#[data]
fn thing() {}

fn main() {}
