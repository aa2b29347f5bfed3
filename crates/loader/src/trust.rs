//! Which files may be loaded: any, those whose hash is locked, or those that a trusted key has signed.

use std::path::PathBuf;
use std::time::SystemTime;

use semver::Version;

use crate::error::{LoadErrorKind, Refusal};
use crate::image::Image;
use crate::keyring::Keyring;
use crate::lock::LockFile;
use crate::signature::Signed;

/// Which files may be loaded.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Any.
    Any,
    /// Those whose bytes stand in this lock file, which is read again for every file: what is locked while the host
    /// runs counts at once.
    Locked(PathBuf),
    /// Those that one of these keys has signed.
    Signed(Keyring),
}

/// A file's bytes were admitted.
pub(crate) struct Admitted {
    /// Why, for the operator.
    pub(crate) why: String,
    /// Under [`Trust::Signed`]: what the signature says.
    pub(crate) signed: Option<Signed>,
}

impl Trust {
    /// The policy's name, as the configuration writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Locked(_) => "locked",
            Self::Signed(_) => "signed",
        }
    }

    /// May these bytes be loaded?
    pub(crate) fn admit(
        &self,
        image: &Image,
        signature: Result<String, Refusal>,
    ) -> Result<Admitted, Refusal> {
        match self {
            Self::Any => Ok(Admitted {
                why: "every file is trusted".to_owned(),
                signed: None,
            }),
            Self::Locked(path) => {
                let lock = LockFile::read(path).map_err(|error| {
                    let source = std::error::Error::source(&error)
                        .map_or_else(String::new, |source| format!(": {source}"));
                    let reason = format!("the lock file cannot be read: {error}{source}");
                    untrusted(
                        first_line(&reason),
                        "mend it, or write it again with `coordinator plugin lock`",
                    )
                })?;
                lock.check(image)?;
                Ok(Admitted {
                    why: format!("its SHA-256 stands in `{}`", path.display()),
                    signed: None,
                })
            }
            Self::Signed(keys) => {
                let signed = keys.check(&signature?, image.bytes(), SystemTime::now())?;
                Ok(Admitted {
                    why: format!("signed by {}", signed.key),
                    signed: Some(signed),
                })
            }
        }
    }

    /// May this version run where a higher one has run? A signature stays good for ever, so that an old version with
    /// a known hole could be put back by whoever can write the file; hashes that are locked name one version.
    pub(crate) fn admit_version(
        &self,
        version: &Version,
        floor: Option<&Version>,
    ) -> Option<Result<String, Refusal>> {
        match self {
            Self::Signed(_) => floor.map(|floor| not_below(version, floor)),
            Self::Any | Self::Locked(_) => None,
        }
    }
}

fn not_below(version: &Version, floor: &Version) -> Result<String, Refusal> {
    if version.cmp_precedence(floor).is_lt() {
        let reason = format!("it is version {version}, and {floor} has run here before");
        let hint = "to go back on purpose, use `coordinator plugin rollback`, or for a plugin of the configuration file take \
                    its line out of `floors.toml` in the data folder";
        return Err(untrusted(reason, hint));
    }
    Ok(format!(
        "{version} is not older than {floor}, which has run here"
    ))
}

pub(crate) fn untrusted(reason: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal::new(LoadErrorKind::Untrusted, reason, hint)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
