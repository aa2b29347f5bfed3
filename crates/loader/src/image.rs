//! The bytes of a file, read once, that nobody can change any more.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{LoadError, LoadErrorKind};

/// No plugin is larger; a larger file is a mistake.
const MAX_SIZE: u64 = 512 * 1024 * 1024;
const BUILD_HINT: &str =
    "build the plugin with `cargo build --release` and give the path of its `.so`";

/// One file's bytes and their SHA-256. What is checked is what is loaded: the file itself is not opened again.
pub struct Image {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
}

/// Where the dynamic linker finds an image. Kept for as long as the process lives: glibc knows libraries by
/// name, and a number that is used again would give the old one.
pub(crate) enum Mapped {
    Memory(OwnedFd),
    Copy(NamedTempFile),
}

impl Image {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it is missing, no regular file, empty, too large or not readable.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let refuse = |reason: String, hint: &str| {
            LoadError::new(path, LoadErrorKind::Unreadable, reason, hint)
        };
        let unreadable =
            |error: std::io::Error| refuse(format!("the file cannot be read: {error}"), BUILD_HINT);
        let mut file = open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(refuse("this is not a file".to_owned(), BUILD_HINT));
        }
        if metadata.len() > MAX_SIZE {
            return Err(refuse(
                format!("the file is {} bytes, more than any plugin", metadata.len()),
                BUILD_HINT,
            ));
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(MAX_SIZE)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.is_empty() {
            return Err(refuse("the file is empty".to_owned(), BUILD_HINT));
        }
        let sha256 = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            bytes,
            sha256,
        })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// SHA-256 of the bytes, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Puts the bytes where the dynamic linker can read them and nobody can write them.
    pub(crate) fn map(&self) -> std::io::Result<Mapped> {
        match self.seal() {
            Ok(memory) => Ok(Mapped::Memory(memory)),
            Err(error) => {
                tracing::debug!(error = %error, "no sealed memory here: loading from a private copy");
                let mut copy = NamedTempFile::with_prefix("coordinator-plugin-")?;
                copy.write_all(&self.bytes)?;
                copy.flush()?;
                Ok(Mapped::Copy(copy))
            }
        }
    }

    fn seal(&self) -> std::io::Result<OwnedFd> {
        let memory = memfd_create(
            "coordinator-plugin",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let mut file = File::from(memory);
        file.write_all(&self.bytes)?;
        file.seek(SeekFrom::Start(0))?;
        let memory = OwnedFd::from(file);
        fcntl_add_seals(
            &memory,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(memory)
    }
}

/// Opens a file to read it. A pipe is opened too, and does not wait for somebody to write into it: what is no regular
/// file is refused by whoever opened it.
pub(crate) fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

impl Mapped {
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Memory(memory) => PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd())),
            Self::Copy(copy) => copy.path().to_owned(),
        }
    }
}
