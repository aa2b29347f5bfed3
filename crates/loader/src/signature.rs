//! A signature beside a plugin file: `libx.so.minisig`, in the form of [minisign](https://jedisct1.github.io/minisign/).

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coordinator_abi::header::SectionHead;

use crate::error::Refusal;
use crate::image;
use crate::trust::untrusted;

/// A signature is four lines.
const MAX_SIZE: u64 = 16 * 1024;

/// What a signature says that one of the trusted keys has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key's name and id.
    pub key: String,
    /// The key's name, if the operator gave it one.
    pub name: Option<String>,
    /// The trusted comment: signed as well.
    pub comment: String,
}

/// A signature, not verified yet.
pub(crate) struct Signature {
    decoded: minisign_verify::Signature,
    pub(crate) key_id: String,
}

/// Where the signature of a file is looked for.
#[must_use]
pub fn signature_path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".minisig");
    name.into()
}

/// Reads a signature file.
pub(crate) fn read(path: &Path) -> Result<String, Refusal> {
    let file = match image::open(path) {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => file,
        Ok(_) => return Err(malformed()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(untrusted(
                format!("the file is not signed: there is no `{}`", path.display()),
                "put the signature that its maker gave with it there, or sign it with `coordinator plugin sign`",
            ));
        }
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut text = String::new();
    match file.take(MAX_SIZE).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(malformed()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    let reason = format!("its signature `{}` cannot be read: {error}", path.display());
    untrusted(reason, "make it a file that the host may read")
}

fn malformed() -> Refusal {
    untrusted(
        "its signature file is not one of minisign's",
        "get it again, or sign the file with `coordinator plugin sign`",
    )
}

/// The id in a line of a key or a signature, as minisign prints it: eight bytes behind the two of the algorithm.
pub(crate) fn key_id(line: &str) -> Option<String> {
    let bytes = STANDARD.decode(line.trim()).ok()?;
    let id = bytes.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

impl Signature {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let decoded = minisign_verify::Signature::decode(text).map_err(|_| malformed())?;
        let key_id = text.lines().nth(1).and_then(key_id).ok_or_else(malformed)?;
        Ok(Self { decoded, key_id })
    }

    pub(crate) fn decoded(&self) -> &minisign_verify::Signature {
        &self.decoded
    }

    pub(crate) fn verified_by(&self, name: Option<&str>, key: String) -> Signed {
        Signed {
            key,
            name: name.map(str::to_owned),
            comment: self.decoded.trusted_comment().to_owned(),
        }
    }
}

impl Signed {
    /// Is the signature for this plugin? One made by `minisign` itself claims nothing; its bytes speak for themselves.
    pub(crate) fn agrees(&self, head: &SectionHead, sha256: &str) -> Result<String, Refusal> {
        let facts = [
            ("plugin", head.name.as_str()),
            ("version", head.version.as_str()),
            ("sha256", sha256),
        ];
        for (what, is) in facts {
            let said = self.claim(what);
            if let Some(said) = said.filter(|said| *said != is) {
                let reason =
                    format!("its signature was made for {what} `{said}`, the file is `{is}`");
                let hint = "get the file and its signature again, from where they come from";
                return Err(untrusted(reason, hint));
            }
        }
        Ok(match self.claim("plugin") {
            Some(_) => "names this plugin and version".to_owned(),
            None => "names no plugin: made by another tool".to_owned(),
        })
    }

    /// `key:value` in the trusted comment; the first of each counts.
    fn claim(&self, key: &str) -> Option<&str> {
        let words = self.comment.split_whitespace();
        words
            .filter_map(|word| word.split_once(':'))
            .find_map(|(name, value)| (name == key).then_some(value))
    }
}

/// The trusted comment of our own signatures.
pub(crate) fn comment(head: &SectionHead, sha256: &str, at: u64, more: Option<&str>) -> String {
    let (name, version) = (&head.name, &head.version);
    let more = more.map_or_else(String::new, |more| format!("\t{more}"));
    format!("timestamp:{at}\tplugin:{name}\tversion:{version}\tsha256:{sha256}{more}")
}
