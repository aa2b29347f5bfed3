use coordinator_sdk::prelude::*;

pub struct Plugin {}

#[plugin]
impl Plugin {}

fn main() {}
