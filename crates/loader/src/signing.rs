//! Makes signing keys and signs plugin files with them, in the form of [minisign](https://jedisct1.github.io/minisign/):
//! each can use what the other made.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Cursor, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{KeyPair, PError, PublicKey, SecretKey, SecretKeyBox};
use tempfile::NamedTempFile;

use crate::LoadError;
use crate::elf::Elf;
use crate::image::Image;
use crate::section::Section;
use crate::signature::{self, key_id, signature_path};

/// Names of the two files of a new key.
const SECRET: &str = "plugin-signing.key";
const PUBLIC: &str = "plugin-signing.pub";

/// Longest comment, in bytes: minisign reads no longer ones.
const MAX_COMMENT: usize = 1024;

/// Bytes of the checksum that ends a secret key.
const CHECKSUM: usize = 32;

/// What a secret key is protected with.
pub enum Protection {
    /// Nothing but the permissions of its file.
    None,
    /// A password.
    Password(String),
    /// A password that is asked for on the terminal.
    Ask,
}

/// A secret key, ready to sign.
pub struct SigningKey(SecretKey);

/// A key that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The file to keep secret.
    pub secret: PathBuf,
    /// The file to give away.
    pub public: PathBuf,
    /// The public key itself, as `keys` in `[trust]` takes it.
    pub key: String,
    /// Its id, as minisign prints it.
    pub id: String,
}

/// A signature that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignature {
    /// Where it is.
    pub path: PathBuf,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Id of the key, as minisign prints it.
    pub key_id: String,
}

/// A key was not made, not read, or signed nothing.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A key must not be lost by making another.
    #[error(
        "`{0}` exists already\n  (a key is never overwritten: make the new one in another folder)"
    )]
    Exists(PathBuf),
    /// A file that cannot be read or written.
    #[error("failed to {action} `{path}`")]
    Io {
        /// Which act.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else than a secret key.
    #[error("`{0}` is not a minisign secret key\n  (make one with `coordinator plugin keygen`)")]
    NotAKey(PathBuf),
    /// It has a password, and none was given.
    #[error(
        "`{0}` is protected by a password\n  (name a file that holds it: `--password-file PATH`)"
    )]
    Protected(PathBuf),
    /// It has another password.
    #[error("the password does not open `{0}`")]
    WrongPassword(PathBuf),
    /// A comment that no signature file can hold.
    #[error("a comment is one line of at most {MAX_COMMENT} bytes, without control characters")]
    Comment,
    /// minisign itself.
    #[error("failed to {action}")]
    Minisign {
        /// Which act.
        action: &'static str,
        /// Why.
        #[source]
        source: PError,
    },
    /// The file to sign is no plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
}

impl SigningKey {
    /// Makes a key pair in `folder`: a secret file that only its owner can read, and a public one.
    ///
    /// # Errors
    ///
    /// If one of the files is there already, or cannot be written: nothing is left behind then.
    pub fn generate(folder: &Path, protection: Protection) -> Result<NewKey, SigningError> {
        let made = NewKey {
            secret: folder.join(SECRET),
            public: folder.join(PUBLIC),
            key: String::new(),
            id: String::new(),
        };
        if let Some(taken) = [&made.secret, &made.public]
            .into_iter()
            .find(|path| path.exists())
        {
            return Err(SigningError::Exists(taken.clone()));
        }
        let pair = match protection {
            Protection::None => KeyPair::generate_unencrypted_keypair(),
            Protection::Password(password) => KeyPair::generate_encrypted_keypair(Some(password)),
            Protection::Ask => KeyPair::generate_encrypted_keypair(None),
        };
        let failed = |source| SigningError::Minisign {
            action: "make a key",
            source,
        };
        let KeyPair { pk, sk } = pair.map_err(failed)?;
        let secret = sk
            .to_box(Some("Coordinator plugin signing key"))
            .map_err(failed)?;
        let public = pk.to_box().map_err(failed)?;
        fs::create_dir_all(folder).map_err(|source| io_error("make", folder, source))?;
        create(&made.secret, 0o600, &secret.to_string())?;
        if let Err(error) = create(&made.public, 0o644, &public.to_string()) {
            // A secret key whose public half nobody has is of no use.
            let _ = fs::remove_file(&made.secret);
            return Err(error);
        }
        let key = pk.to_base64();
        Ok(NewKey {
            id: key_id(&key).unwrap_or_default(),
            key,
            ..made
        })
    }

    /// Reads a secret key.
    ///
    /// # Errors
    ///
    /// If the file is none, or does not open with this password. A key without a password opens with any.
    pub fn read(path: &Path, protection: Protection) -> Result<Self, SigningError> {
        let text = fs::read_to_string(path).map_err(|source| io_error("read", path, source))?;
        let not_a_key = || SigningError::NotAKey(path.to_owned());
        let line = text.lines().nth(1).ok_or_else(not_a_key)?;
        let bytes = STANDARD.decode(line.trim()).map_err(|_| not_a_key())?;
        let boxed = SecretKeyBox::from(text);
        // Two bytes of the signature's algorithm, two of what protects the key.
        let secret = match (bytes.get(..2), bytes.get(2..4)) {
            // minisign 0.11 leaves the checksum of a key without a password empty.
            (Some(b"Ed"), Some([0, 0])) if bytes.ends_with(&[0; CHECKSUM]) => {
                SecretKey::from_bytes(&bytes).map_err(|_| not_a_key())?
            }
            (Some(b"Ed"), Some([0, 0])) => boxed
                .into_unencrypted_secret_key()
                .map_err(|_| not_a_key())?,
            (Some(b"Ed"), Some(b"Sc")) => {
                let password = match protection {
                    Protection::None => return Err(SigningError::Protected(path.to_owned())),
                    Protection::Password(password) => Some(password),
                    Protection::Ask => None,
                };
                boxed
                    .into_secret_key(password)
                    .map_err(|_| SigningError::WrongPassword(path.to_owned()))?
            }
            _ => return Err(not_a_key()),
        };
        Ok(Self(secret))
    }

    /// Whether a password is needed to read a key; `false` for what is no key.
    #[must_use]
    pub fn is_protected(path: &Path) -> bool {
        let text = fs::read_to_string(path).unwrap_or_default();
        let bytes = text
            .lines()
            .nth(1)
            .and_then(|line| STANDARD.decode(line.trim()).ok());
        bytes.is_some_and(|bytes| bytes.get(2..4) == Some(b"Sc"))
    }

    /// Signs a plugin file, into `FILE.minisig` beside it unless `to` says otherwise; a signature that is there is
    /// replaced. The signature names the plugin, its version and its hash. Runs none of the file.
    ///
    /// # Errors
    ///
    /// If the file is no plugin, or the signature cannot be written.
    pub fn sign(
        &self,
        file: &Path,
        to: Option<&Path>,
        comment: Option<&str>,
    ) -> Result<NewSignature, SigningError> {
        let comment = comment.map(str::trim).filter(|comment| !comment.is_empty());
        if comment.is_some_and(|text| text.len() > MAX_COMMENT || text.contains(char::is_control)) {
            return Err(SigningError::Comment);
        }
        let image = Image::read(file)?;
        let section = Elf::check(image.bytes()).and_then(|elf| Section::read(&elf));
        let head = section.map_err(|refusal| refusal.of(file))?.head;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let trusted = signature::comment(&head, image.sha256(), now.as_secs(), comment);
        let untrusted = format!(
            "signature of {} {} for Coordinator",
            head.name, head.version
        );
        let failed = |source| SigningError::Minisign {
            action: "sign",
            source,
        };
        let public = PublicKey::from_secret_key(&self.0).map_err(failed)?;
        let bytes = Cursor::new(image.bytes());
        let signed = minisign::sign(
            Some(&public),
            &self.0,
            bytes,
            Some(&trusted),
            Some(&untrusted),
        );
        let path = to.map_or_else(|| signature_path(file), Path::to_owned);
        replace(&path, &signed.map_err(failed)?.into_string())
            .map_err(|source| io_error("write", &path, source))?;
        Ok(NewSignature {
            path,
            plugin: head.name,
            version: head.version,
            sha256: image.sha256().to_owned(),
            key_id: key_id(&public.to_base64()).unwrap_or_default(),
        })
    }
}

/// A file that was not there before, with these permissions from its first moment.
fn create(path: &Path, mode: u32, text: &str) -> Result<(), SigningError> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SigningError::Exists(path.to_owned()),
        _ => io_error("write", path, source),
    })
}

/// Writes a file whole or not at all; everybody may read it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> SigningError {
    SigningError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
