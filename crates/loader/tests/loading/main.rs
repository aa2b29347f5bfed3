//! Plugin files, good and bad, through the loader's public door. The test process is the witness that a bad
//! file is refused and no more: it goes on to the next test.
#![expect(clippy::unwrap_used, reason = "a test")]

mod abi;
mod boundary;
mod elf;
mod floors;
mod good;
mod lent;
mod minors;
mod panics;
mod plugin_file;
mod refused;
mod shelf;
mod signed;
mod signer;
mod trust;
mod unreadable;
