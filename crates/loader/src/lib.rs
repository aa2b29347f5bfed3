//! Brings a plugin file into the process, or says in three lines why not.
//!
//! In: a path and the trust policy. Out: a [`Loaded`] plugin with its manifest, of which instances are opened; and
//! what goes with trust: the lock file, keys, signatures, and the [`Shelf`] of installed files. Not here: settings and start (see `context`), what is bound to what (see `wiring`).
//! Nothing of a file runs before its bytes, its hash, its section and its ABI were checked; what was mapped
//! stays mapped: `dlclose` does nothing for nearly every Rust library, and is a crash for the others.
#![expect(
    unsafe_code,
    reason = "dlopen and the exported header; every block states why it is sound"
)]

mod elf;
mod error;
mod examine;
mod floors;
mod image;
mod inspect;
mod keyring;
mod load;
mod lock;
mod section;
mod shelf;
mod signature;
mod signing;
mod source;
mod trust;

pub use error::{LoadError, LoadErrorKind};
pub use examine::{Check, Examination, LoadRequest, Preflight};
pub use floors::{Floors, FloorsError};
pub use image::Image;
pub use inspect::{Inspection, inspect};
pub use keyring::{KeyError, Keyring, TrustedKey};
pub use load::{Loaded, Loader};
pub use lock::{LockError, LockFile, Locked};
pub use section::Section;
pub use semver::Version;
pub use shelf::{Shelf, ShelfError};
pub use signature::{Signed, signature_path};
pub use signing::{NewKey, NewSignature, Protection, SigningError, SigningKey};
pub use source::{SourceError, find};
pub use trust::Trust;
