//! What was saved: the newest change among a plugin's own files, and how many there are.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// How a plugin's files looked. Two looks differ if a file was saved, made or taken away between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    newest: SystemTime,
    files: usize,
}

impl Default for Seen {
    /// Nothing was seen.
    fn default() -> Self {
        Self {
            newest: SystemTime::UNIX_EPOCH,
            files: 0,
        }
    }
}

impl Seen {
    /// The files of the plugin in `path`, as they are now.
    pub(super) fn of(path: &Path) -> Self {
        let mut seen = Self::default();
        for name in ["Cargo.toml", "build.rs", "dev.toml"] {
            seen.add(&path.join(name));
        }
        seen.add_folder(&path.join("src"));
        seen
    }

    /// What cannot be read now is looked at again at once.
    fn add_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.add_folder(&entry.path()),
                _ => self.add(&entry.path()),
            }
        }
    }

    fn add(&mut self, file: &Path) {
        if let Ok(changed) = fs::metadata(file).and_then(|about| about.modified()) {
            self.newest = self.newest.max(changed);
            self.files += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn save(file: &Path, seconds: u64) {
        let file = fs::File::create(file).expect("the folder is writable");
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(when).expect("the file is ours");
    }

    #[test]
    fn a_file_that_is_saved_made_or_taken_away_is_seen() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        fs::create_dir_all(path.join("src/deep")).expect("the folder is writable");
        save(&path.join("Cargo.toml"), 10);
        save(&path.join("src/deep/mod_of_it.rs"), 20);
        let first = Seen::of(path);
        assert_eq!(Seen::of(path), first);
        save(&path.join("src/deep/mod_of_it.rs"), 30);
        let saved = Seen::of(path);
        assert_ne!(saved, first);
        save(&path.join("dev.toml"), 5);
        let made = Seen::of(path);
        assert_ne!(made, saved);
        fs::remove_file(path.join("dev.toml")).expect("the file is ours");
        assert_eq!(Seen::of(path), saved);
    }
}
