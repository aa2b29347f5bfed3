//! Reads the operator's configuration.
//! In: `default.toml` (embedded), a file, the environment.
//! Out: typed sections with provenance, or every mistake at once.
//! Not here: what the settings mean to the rooms, and the schemas of plugin settings.

#![forbid(unsafe_code)]

mod secret;
mod suggest;

pub use secret::Secret;
pub use suggest::nearest;
