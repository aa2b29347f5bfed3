//! What crosses the plugin boundary: tables of functions, bytes, futures, wakers, codes and logs.
//!
//! In: Rust values of one side. Out: the same values on the other side, freed by the side that made them.
//! Not here: loading (see `loader`), what authors see (see `sdk`), what a call means (see `context`).
//! `unsafe` lives here so that neither the host's other rooms nor any plugin needs it: the typed wrappers
//! [`Instance`] and [`Lent`] pair each table with the objects that it was made for.
#![expect(
    unsafe_code,
    reason = "this room is the boundary; every block states why it is sound"
)]

pub mod call;
pub mod code;
pub mod fields;
pub mod future;
pub mod header;
pub mod host;
pub mod log;
pub mod manifest;
pub mod opaque;
pub mod outcome;
pub mod panic;
pub mod plugin;
pub mod route_view;
pub mod shared_bytes;
mod waker;

pub use abi_stable;
pub use code::Code;
pub use future::RawFuture;
pub use header::PluginHeader;
pub use host::{Host, HostTable, Lend, Lent};
pub use manifest::Manifest;
pub use outcome::Outcome;
pub use plugin::{Call, Instance, Opened, PluginTable, PluginTableRef, Serve};
pub use route_view::RouteView;
pub use shared_bytes::SharedBytes;

/// Version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// ABI major: a host refuses a plugin of another one.
pub const ABI_MAJOR: u16 = 1;
/// ABI minor: only appends to the tables. A host takes plugins of any minor of its major.
pub const ABI_MINOR: u16 = 0;
