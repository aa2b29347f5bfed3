//! What every refusal has: a kind, the file, what is wrong and a cure, on few lines.

use std::path::Path;

use coordinator_loader::{LoadError, LoadErrorKind, Loader, Trust};

/// Loads the file, trusting any; it must be refused as `kind`.
pub(crate) fn refused(path: &Path, kind: LoadErrorKind) -> LoadError {
    refused_by(&Loader::new(Trust::Any), path, kind)
}

/// Loads the file; it must be refused as `kind`.
pub(crate) fn refused_by(loader: &Loader, path: &Path, kind: LoadErrorKind) -> LoadError {
    let error = loader.load(path).err();
    let error = error.unwrap_or_else(|| panic!("`{}` was loaded", path.display()));
    assert_readable(&error, path);
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// An operator reads it on a terminal, and then knows which file it is and what to do.
pub(crate) fn assert_readable(error: &LoadError, path: &Path) {
    let shown = error.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() <= 6, "too long:\n{shown}");
    assert!(lines[0].contains(&path.display().to_string()), "{shown}");
    assert!(!error.reason().is_empty(), "{shown}");
    let cure = lines[lines.len() - 1];
    assert!(cure.starts_with("  (") && cure.ends_with(')'), "{shown}");
    assert!(!error.hint().is_empty(), "{shown}");
}
