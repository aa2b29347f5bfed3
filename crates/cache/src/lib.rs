//! Values that may be forgotten, and locks that end by themselves: memory or Redis behind one interface.
//! In: keys and bytes. Out: what was kept, for as long as it was asked to be.
//! Not here: anything that must not be lost. A server that restarts, or is full, forgets.

#![forbid(unsafe_code)]

mod cache;
mod engine;
mod error;
mod memory;
mod open;
mod redis;
mod subscription;
mod token;

pub use cache::Cache;
pub use error::{CacheError, OpenError};
pub use open::CacheOptions;
pub use subscription::{Heard, Subscription};
pub use token::LockToken;
