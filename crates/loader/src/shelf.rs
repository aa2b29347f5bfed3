//! Files of installed plugins, each under its hash: editing or removing the file that a plugin was installed from
//! changes nothing of what is installed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{NamedTempFile, TempDir};

use crate::examine::Preflight;
use crate::image::Image;
use crate::signature::signature_path;

/// What a folder is called until it is whole.
const UNFINISHED: &str = ".unfinished-";

/// `DATA_DIR/plugins/SHA256/FILE`, and the file's signature beside it.
///
/// One process writes to it: the host, which has its data folder to itself.
pub struct Shelf {
    folder: PathBuf,
    writing: Mutex<()>,
}

/// The shelf could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to {action} `{path}`\n  (the host must be able to write to `plugins` in its data folder, `server.data_dir`)"
)]
pub struct ShelfError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Shelf {
    /// The shelf in a host's data folder. It is made when something is put on it.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join("plugins"),
            writing: Mutex::default(),
        }
    }

    /// Puts a file there that was checked: the bytes that were checked, wherever the file is by now. Bytes that are there
    /// already stay where they are; the signature that comes with them takes the place of the one that was there, for
    /// every instance of these bytes: so a file that is signed anew is installed anew.
    ///
    /// Until an instance names the file, [`collect`](Self::collect) takes it for one that nobody needs: do both in turn.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written. Nothing is half there then.
    pub fn put(&self, checked: &Preflight) -> Result<PathBuf, ShelfError> {
        let _writing = self.writing();
        let place = self.folder.join(checked.sha256());
        let at = |source| failed("write", &place, source);
        let file = match self.whole_file(checked.sha256())? {
            Some(file) => file,
            None => self.add(checked, &place).map_err(at)?,
        };
        if let Some(signature) = &checked.signature {
            let beside = signature_path(&file);
            if fs::read_to_string(&beside).ok().as_ref() != Some(signature) {
                write(&beside, signature.as_bytes()).map_err(at)?;
            }
        }
        Ok(file)
    }

    /// The file with this SHA-256, if it is there.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn file(&self, sha256: &str) -> Result<Option<PathBuf>, ShelfError> {
        if !is_hash(sha256) {
            return Ok(None);
        }
        let place = self.folder.join(sha256);
        let mut files = list(&place).map_err(|source| failed("read", &place, source))?;
        files.retain(|path| path.is_file() && path.extension() != Some("minisig".as_ref()));
        Ok(files.into_iter().next())
    }

    /// Removes every file whose hash is not one of `keep`, and what an interrupted write left; answers the hashes that
    /// went. A file that is mapped may go: what runs has its own copy.
    ///
    /// # Errors
    ///
    /// If a folder cannot be removed; others may have been.
    pub fn collect(&self, keep: &BTreeSet<String>) -> Result<Vec<String>, ShelfError> {
        let _writing = self.writing();
        let places = list(&self.folder).map_err(|source| failed("read", &self.folder, source))?;
        let mut gone = Vec::new();
        for place in places {
            let name = place.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default().to_owned();
            let unneeded = is_hash(&name) && !keep.contains(&name);
            // Whatever else lies there was not put there by us.
            if unneeded || name.starts_with(UNFINISHED) {
                fs::remove_dir_all(&place).map_err(|source| failed("remove", &place, source))?;
            }
            if unneeded {
                gone.push(name);
            }
        }
        gone.sort_unstable();
        Ok(gone)
    }

    /// What is there under this hash, if it still has it: a file on the shelf that was changed is no longer it.
    fn whole_file(&self, sha256: &str) -> Result<Option<PathBuf>, ShelfError> {
        let file = self.file(sha256)?;
        Ok(file.filter(|file| Image::read(file).is_ok_and(|image| image.sha256() == sha256)))
    }

    /// A new folder, or the file anew in one that has lost it.
    fn add(&self, checked: &Preflight, place: &Path) -> io::Result<PathBuf> {
        let name = checked.path().file_name().unwrap_or("plugin.so".as_ref());
        fs::create_dir_all(&self.folder)?;
        if place.is_dir() {
            fs::remove_dir_all(place)?;
        }
        let fresh = TempDir::with_prefix_in(UNFINISHED, &self.folder)?;
        write(&fresh.path().join(name), checked.image.bytes())?;
        fs::rename(fresh.path(), place)?;
        // Its name is another one now: there is nothing left to remove.
        let _ = fresh.keep();
        sync(&self.folder)?;
        Ok(place.join(name))
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file whole or not at all, and makes it last; nobody is to edit it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::with_prefix_in(UNFINISHED, folder)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o444))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is in a folder; one that does not exist is empty.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_hash(name: &str) -> bool {
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 64 && name.bytes().all(hexadecimal)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ShelfError {
    ShelfError {
        action,
        path: path.to_owned(),
        source,
    }
}
