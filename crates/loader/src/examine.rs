//! Every check that needs none of a file's code: what `load` insists on, and what `plugin verify` tells.

use std::path::{Path, PathBuf};

use semver::Version;

use crate::elf::Elf;
use crate::error::{LoadError, Refusal};
use crate::floors::Floors;
use crate::image::Image;
use crate::section::Section;
use crate::signature::{self, Signed};
use crate::trust::Trust;

/// Which file is to be loaded, and what is known of the instance that it is for.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    path: PathBuf,
    signature: Option<PathBuf>,
    instance: Option<String>,
    floor: Option<Version>,
}

/// A file that may be loaded, as far as can be told without running it: its bytes, as they were when they were checked.
pub struct Preflight {
    pub(crate) image: Image,
    pub(crate) section: Section,
    /// What lay beside the file, whatever the policy asks for.
    pub(crate) signature: Option<String>,
    signed: Option<Signed>,
}

/// What each check says of a file.
pub struct Examination {
    image: Image,
    section: Option<Section>,
    signature: Option<String>,
    signed: Option<Signed>,
    checks: Vec<Check>,
}

/// One check.
pub struct Check {
    name: &'static str,
    outcome: Result<String, Refusal>,
}

impl LoadRequest {
    /// The file at `path`, its signature beside it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            signature: None,
            instance: None,
            floor: None,
        }
    }

    /// For the instance of this name: what has run of it on this host counts, unless a floor is given.
    #[must_use]
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }

    /// The highest version that ever ran of the instance: under `trust.policy = "signed"` no lower one is loaded.
    #[must_use]
    pub fn floor(mut self, version: Version) -> Self {
        self.floor = Some(version);
        self
    }

    /// Its signature is not beside it, but here.
    #[must_use]
    pub fn signature(mut self, path: impl Into<PathBuf>) -> Self {
        self.signature = Some(path.into());
        self
    }

    /// With what has run, where nothing else is said.
    pub(crate) fn against(mut self, floors: &Floors) -> Self {
        if let (None, Some(instance)) = (&self.floor, &self.instance) {
            self.floor = floors.of(instance);
        }
        self
    }

    pub(crate) fn highest(&self) -> Option<&Version> {
        self.floor.as_ref()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn signature_path(&self) -> PathBuf {
        let beside = || signature::signature_path(&self.path);
        self.signature.clone().unwrap_or_else(beside)
    }
}

impl From<&Path> for LoadRequest {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<&PathBuf> for LoadRequest {
    fn from(path: &PathBuf) -> Self {
        Self::new(path)
    }
}

impl Examination {
    /// Reads the file once, and makes every check that can be made.
    pub(crate) fn of(trust: &Trust, request: &LoadRequest) -> Result<Self, LoadError> {
        let image = Image::read(request.path())?;
        let (library, section) = match Elf::check(image.bytes()) {
            Ok(elf) => (Ok(elf.summary()), Some(Section::read(&elf))),
            Err(refusal) => (Err(refusal), None),
        };
        let mut examination = Self {
            image,
            section: None,
            signature: None,
            signed: None,
            checks: Vec::new(),
        };
        examination.note("library", library);
        examination.check_trust(trust, request);
        match section {
            Some(Ok(section)) => examination.check_section(section, trust, request),
            Some(Err(refusal)) => examination.note("section", Err(refusal)),
            None => {}
        }
        Ok(examination)
    }

    fn check_trust(&mut self, trust: &Trust, request: &LoadRequest) {
        let signature = signature::read(&request.signature_path());
        self.signature = signature.as_ref().ok().cloned();
        let outcome = trust.admit(&self.image, signature).map(|admitted| {
            self.signed = admitted.signed;
            admitted.why
        });
        self.note("trust", outcome);
    }

    fn check_section(&mut self, section: Section, trust: &Trust, request: &LoadRequest) {
        let head = &section.head;
        let summary = format!("{} {}", head.name, head.version);
        self.note("section", Ok(summary));
        self.note("abi", section.check_abi());
        self.note("panics", section.check_panic());
        if let Some(signed) = &self.signed {
            let agrees = signed.agrees(head, self.image.sha256());
            self.note("signature", agrees);
        }
        if let Some(outcome) = trust.admit_version(&section.version, request.highest()) {
            self.note("version", outcome);
        }
        self.section = Some(section);
    }

    fn note(&mut self, name: &'static str, outcome: Result<String, Refusal>) {
        self.checks.push(Check { name, outcome });
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.image.sha256()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.image.size()
    }

    /// What it says of itself, if that can be read.
    #[must_use]
    pub fn section(&self) -> Option<&Section> {
        self.section.as_ref()
    }

    /// The signature that was verified: under `signed` only.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    /// The checks, in the order in which they were made.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The file, if every check allows it.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn into_preflight(self) -> Result<Preflight, LoadError> {
        for check in self.checks {
            check
                .outcome
                .map_err(|refusal| refusal.of(self.image.path()))?;
        }
        Ok(Preflight {
            section: self
                .section
                .expect("a section that is not there is refused"),
            image: self.image,
            signature: self.signature,
            signed: self.signed,
        })
    }
}

impl Check {
    /// `library`, `trust`, `section`, `abi`, `panics`, `signature` or `version`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it found, or why the file is refused, and a hint.
    ///
    /// # Errors
    ///
    /// The reason and the hint of the refusal.
    pub fn outcome(&self) -> Result<&str, (&str, &str)> {
        match &self.outcome {
            Ok(found) => Ok(found),
            Err(refusal) => Err((&refusal.reason, &refusal.hint)),
        }
    }
}

impl Preflight {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.image.sha256()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.image.size()
    }

    /// What it says of itself.
    #[must_use]
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.section.version
    }

    /// The signature that was verified: under `signed` only.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }
}
