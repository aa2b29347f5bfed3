//! The lock on the data directory: one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

/// Holds the directory until dropped, or until the process ends in any way: the operating system lets go of it then.
#[derive(Debug)]
pub(super) struct DirLock {
    _file: File,
}

/// The directory could not be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process holds it; its id, if it could be read.
    Held(Option<u32>),
    /// The lock file cannot be opened or written.
    Io(io::Error),
}

impl DirLock {
    /// Locks `dir` and leaves the id of this process in the lock file.
    pub(super) fn take(dir: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("journal.lock"))
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

/// Who wrote the lock file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
