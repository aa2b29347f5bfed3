//! Keys and signatures for the tests: ours, and those of the `minisign` program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use coordinator_loader::{Keyring, Loader, NewKey, Protection, SigningKey, Trust, TrustedKey};
use tempfile::TempDir;

/// A key pair in a folder of its own.
pub(crate) struct Signer {
    _folder: TempDir,
    pub(crate) made: NewKey,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = SigningKey::generate(folder.path(), Protection::None).unwrap();
        Self {
            _folder: folder,
            made,
        }
    }

    /// Signs the file as it is now.
    pub(crate) fn sign(&self, file: &Path) {
        let key = SigningKey::read(&self.made.secret, Protection::None).unwrap();
        key.sign(file, None, None).unwrap();
    }

    /// Signs it with `minisign`, and these further arguments.
    pub(crate) fn sign_with_minisign(&self, file: &Path, arguments: &[&str]) {
        let secret = self.made.secret.to_str().unwrap();
        let file = file.to_str().unwrap();
        let all = [&["-S", "-W", "-s", secret, "-m", file], arguments].concat();
        minisign(&all, "");
    }

    pub(crate) fn key(&self) -> TrustedKey {
        TrustedKey::new(&self.made.key).unwrap().named("acme")
    }
}

/// A loader that trusts these keys.
pub(crate) fn trusting(keys: impl IntoIterator<Item = TrustedKey>) -> Loader {
    Loader::new(Trust::Signed(Keyring::from_iter(keys)))
}

/// Runs the `minisign` program of Debian; it must succeed.
#[track_caller]
pub(crate) fn minisign(arguments: &[&str], input: &str) {
    use std::io::Write as _;
    let child = Command::new("minisign")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("`minisign` is installed (Debian: apt-get install minisign)");
    let mut stdin = child.stdin.take().unwrap();
    // One that asks for nothing may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "minisign {arguments:?}: {said}");
}

/// Where the signature of a file is.
pub(crate) fn beside(file: &Path) -> PathBuf {
    coordinator_loader::signature_path(file)
}
