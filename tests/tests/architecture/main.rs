//! What the house promises about itself, held against `cargo metadata` and the sources: which room may use
//! which, which vendor lives where, which licences come in, and how the sources look.
#![expect(clippy::unwrap_used, reason = "a test")]

mod arrows;
mod licences;
mod metadata;
mod sources;
mod vendors;
