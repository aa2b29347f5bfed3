//! Brings a plugin file into the process, or says in three lines why not.
//!
//! In: a path, the lock file, the trust policy. Out: a [`Loaded`] plugin with its manifest, of which instances
//! are opened. Not here: settings and start (see `context`), what is bound to what (see `wiring`).
//! Nothing of a file runs before its bytes, its hash, its section and its ABI were checked; what was mapped
//! stays mapped: `dlclose` does nothing for nearly every Rust library, and is a crash for the others.
#![expect(
    unsafe_code,
    reason = "dlopen and the exported header; every block states why it is sound"
)]

mod elf;
mod error;
mod image;
mod inspect;
mod load;
mod lock;
mod section;

pub use error::{LoadError, LoadErrorKind};
pub use image::Image;
pub use inspect::{Inspection, inspect};
pub use load::{Loaded, Loader};
pub use lock::{LockError, LockFile, Locked, Trust};
pub use section::Section;
