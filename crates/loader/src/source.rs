//! Where a plugin is to be installed from: a file, a folder with one plugin in it, or a `file:` URL.

use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::inspect::inspect;

/// No file could be told.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A URL that is not of a file on this machine.
    #[error(
        "`{0}` is not the URL of a file on this machine\n  (write `file:///absolute/path.so`; download anything else first, and look at it with `coordinator plugin inspect`)"
    )]
    Url(String),
    /// A folder that cannot be listed.
    #[error("failed to read the folder `{path}`")]
    Io {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder without a plugin.
    #[error(
        "there is no plugin in `{0}`\n  (give the path of its `.so`: `cargo build --release` puts it into `target/release`)"
    )]
    None(PathBuf),
    /// A folder with several.
    #[error("there are several plugins in `{folder}`: {}\n  (give the path of one)", .files.join(", "))]
    Several {
        /// Which folder.
        folder: PathBuf,
        /// Their file names.
        files: Vec<String>,
    },
}

/// The file that `source` means. Whether it is there, and whether it may be loaded, is asked later.
///
/// # Errors
///
/// If it is a folder without one plugin in it, or a URL of anything but a file.
pub fn find(source: &str) -> Result<PathBuf, SourceError> {
    let path = if source.contains("://") || source.starts_with("file:") {
        let url = Url::parse(source).ok().filter(|url| url.scheme() == "file");
        let path = url.and_then(|url| url.to_file_path().ok());
        path.ok_or_else(|| SourceError::Url(source.to_owned()))?
    } else {
        PathBuf::from(source)
    };
    if path.is_dir() {
        only_one_in(&path)
    } else {
        Ok(path)
    }
}

fn only_one_in(folder: &Path) -> Result<PathBuf, SourceError> {
    let failed = |source| SourceError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut plugins = paths.map_err(failed)?;
    plugins.retain(|path| path.extension() == Some("so".as_ref()) && inspect(path).is_ok());
    plugins.sort_unstable();
    match plugins.as_slice() {
        [] => Err(SourceError::None(folder.to_owned())),
        [_] => Ok(plugins.remove(0)),
        several => Err(SourceError::Several {
            folder: folder.to_owned(),
            files: several.iter().map(|path| file_name(path)).collect(),
        }),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
