//! The plugin files that the tests load: as they were built, and copies with a part changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A greeter: `examples/hello`.
pub(crate) fn hello() -> PathBuf {
    built("libhello.so")
}

/// A plugin that panics and hangs on demand: `tests/fixtures/misbehaving`.
pub(crate) fn misbehaving() -> PathBuf {
    built("libmisbehaving.so")
}

/// The greeter, built with `panic = "abort"` in a target folder of its own.
pub(crate) fn aborting() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = folder().with_file_name("panic-abort");
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--package", "coordinator-hello"])
            .args(["--manifest-path", manifest])
            .args(["--config", "profile.dev.panic=\"abort\""])
            .args(["--config", "profile.dev.package.\"*\".opt-level=0"])
            .arg("--target-dir")
            .arg(&target)
            .output()
            .expect("the cargo that runs this test can be started");
        let log = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "the fixture does not build:\n{log}");
        target.join("debug/libhello.so")
    })
}

fn built(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "`{name}` is not built: run `cargo xtask test`, which builds the plugins that tests load"
    );
    path
}

/// `target/PROFILE`, of the test that runs: `target/PROFILE/deps/loading-…`.
pub(crate) fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// A file in a folder of its own, gone when this is dropped.
pub(crate) struct Changed {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Changed {
    /// A copy of the greeter.
    pub(crate) fn hello() -> Self {
        Self::of(std::fs::read(hello()).unwrap())
    }

    /// A file with these bytes.
    pub(crate) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            bytes: bytes.into(),
        }
        .write()
    }

    /// With `bytes` at `offset`.
    pub(crate) fn at(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.write()
    }

    /// With `bytes` so far behind the magic that the exported header begins with.
    pub(crate) fn in_header(self, offset: usize, bytes: &[u8]) -> Self {
        let magic = self.find(b"COORDPLG")[0];
        self.at(magic + offset, bytes)
    }

    /// With `new` wherever `old`, of the same length, stood.
    pub(crate) fn replaced(mut self, old: &str, new: &str) -> Self {
        assert_eq!(old.len(), new.len(), "what follows must not move");
        let places = self.find(old.as_bytes());
        assert!(!places.is_empty(), "`{old}` is not in the file");
        for place in places {
            self.bytes[place..place + new.len()].copy_from_slice(new.as_bytes());
        }
        self.write()
    }

    /// Its first `percent` per cent.
    pub(crate) fn cut(mut self, percent: usize) -> Self {
        self.bytes.truncate(self.bytes.len() * percent / 100);
        self.write()
    }

    /// With its last byte changed.
    pub(crate) fn last_byte_changed(self) -> Self {
        let last = self.bytes.len() - 1;
        let byte = [!self.bytes[last]];
        self.at(last, &byte)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("libhello.so")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.folder.path().join("plugins.lock")
    }

    fn find(&self, part: &[u8]) -> Vec<usize> {
        let windows = self.bytes.windows(part.len()).enumerate();
        windows
            .filter_map(|(place, window)| (window == part).then_some(place))
            .collect()
    }

    fn write(self) -> Self {
        std::fs::write(self.path(), &self.bytes).unwrap();
        self
    }
}
