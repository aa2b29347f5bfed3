//! What a file would do, read from its sections: none of it runs.

use std::path::{Path, PathBuf};

use crate::elf::Elf;
use crate::error::LoadError;
use crate::image::Image;
use crate::section::Section;

/// What a plugin file says of itself.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Its lines.
    pub section: Section,
}

/// Reads a file's own description. Runs none of it, and asks nothing of the dynamic linker.
///
/// # Errors
///
/// If it is no plugin that this host could load.
pub fn inspect(path: &Path) -> Result<Inspection, LoadError> {
    let image = Image::read(path)?;
    let section = Elf::check(image.bytes())
        .and_then(|elf| Section::read(&elf))
        .and_then(|section| section.check_abi().map(|_| section))
        .map_err(|refusal| refusal.of(path))?;
    let size = image.size();
    Ok(Inspection {
        path: path.to_owned(),
        size,
        sha256: image.sha256().to_owned(),
        section,
    })
}
