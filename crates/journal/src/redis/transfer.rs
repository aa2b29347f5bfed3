//! Moving a journal to another engine, and from one.

mod export;
mod import;
mod moved_keys;

pub(super) use self::export::export;
pub(super) use self::import::import;
pub(super) use self::moved_keys::{expire, known, look};
