//! The loading order: bytes, hash, section, dynamic linker, header, layouts, description.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use coordinator_abi::code::strategy;
use coordinator_abi::header::{MAGIC, SYMBOL, SectionHead};
use coordinator_abi::plugin::describe;
use coordinator_abi::{ABI_MAJOR, Instance, Lend, Manifest, PluginHeader, PluginTableRef};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use semver::Version;

use crate::error::{LoadError, LoadErrorKind, Refusal};
use crate::examine::{Examination, LoadRequest, Preflight};
use crate::floors::Floors;
use crate::image::Image;
use crate::section::{self, Section};
use crate::trust::Trust;

/// Loads files; the same bytes are mapped once, however many instances are opened of them.
pub struct Loader {
    trust: RwLock<Trust>,
    floors: Option<Floors>,
    loaded: Mutex<HashMap<String, Arc<Loaded>>>,
}

/// A plugin file in this process. It stays mapped for as long as the process lives.
pub struct Loaded {
    path: PathBuf,
    sha256: String,
    size: u64,
    head: SectionHead,
    version: Version,
    manifest: Manifest,
    table: PluginTableRef,
}

impl Loader {
    /// Loads what `trust` allows.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self {
            trust: RwLock::new(trust),
            floors: None,
            loaded: Mutex::default(),
        }
    }

    /// Heeds, and keeps, the highest versions that have run on this host.
    #[must_use]
    pub fn with_floors(mut self, floors: Floors) -> Self {
        self.floors = Some(floors);
        self
    }

    /// Loads what `trust` allows from now on (a key was added, or revoked); answers what was allowed before. What is
    /// loaded stays.
    pub fn set_trust(&self, trust: Trust) -> Trust {
        let mut current = self.trust.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, trust)
    }

    /// These instances run with these versions.
    pub fn raise<'a>(&self, running: impl IntoIterator<Item = (&'a str, &'a Version)>) {
        let raised = self.floors.as_ref().map(|floors| floors.raise(running));
        if let Some(Err(error)) = raised {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(error = %error, cause, "versions that have run are not kept beyond this process");
        }
    }

    /// Loads one file.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; none of the file's functions was called then, but for the library constructors that any
    /// shared library may have, and `describe` if only its description is wrong.
    pub fn load(&self, request: impl Into<LoadRequest>) -> Result<Arc<Loaded>, LoadError> {
        let Preflight { image, section, .. } = self.preflight(request)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(image.sha256()) {
            return Ok(Arc::clone(known));
        }
        let fresh = map(&image)
            .and_then(|header| Loaded::of(&image, section, header))
            .map_err(|refusal| refusal.of(image.path()))?;
        let fresh = Arc::new(fresh);
        loaded.insert(image.sha256().to_owned(), Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Every file that was loaded, whether anything runs of it or not: what was mapped stays mapped.
    #[must_use]
    pub fn mapped(&self) -> Vec<Arc<Loaded>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.values().cloned().collect()
    }

    /// Makes every check that needs none of the file's code: what passes is mapped by [`load`](Self::load), if nobody
    /// changes the file in between.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the first refusal.
    pub fn preflight(&self, request: impl Into<LoadRequest>) -> Result<Preflight, LoadError> {
        self.examine(request)?.into_preflight()
    }

    /// The same checks, and what each of them says; one that refuses does not keep the others from being made.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the file cannot be read.
    pub fn examine(&self, request: impl Into<LoadRequest>) -> Result<Examination, LoadError> {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner);
        let request = request.into();
        let request = match &self.floors {
            Some(floors) => request.against(floors),
            None => request,
        };
        Examination::of(&trust, &request)
    }
}

impl Loaded {
    fn of(image: &Image, section: Section, header: &'static PluginHeader) -> Result<Self, Refusal> {
        let Section { head, version, .. } = section;
        check_header(header, &head)?;
        let table = header.table().map_err(|report| {
            tracing::debug!(plugin.name = %head.name, "layouts of plugin and host differ:\n{report}");
            let reason = format!(
                "its tables are laid out differently (built with coordinator-sdk {}, this host is {})",
                head.sdk,
                env!("CARGO_PKG_VERSION")
            );
            let hint = "rebuild the plugin with this host's SDK; the whole report is in the log at \
                        `RUST_LOG=coordinator_loader=debug`";
            Refusal::new(LoadErrorKind::Incompatible, reason, hint)
        })?;
        let manifest = describe(table).map_err(|answer| {
            let chain = coordinator_abi::call::FailureMeta::of(&answer)
                .chain
                .join(": ");
            inconsistent(format!("it failed to describe itself: {chain}"))
        })?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|error| inconsistent(format!("its description is malformed: {error}")))?;
        if manifest.name != head.name || manifest.version != head.version {
            return Err(inconsistent(
                "its description names another plugin than its header".to_owned(),
            ));
        }
        let (path, sha256) = (image.path().to_owned(), image.sha256().to_owned());
        Ok(Self {
            path,
            sha256,
            size: image.size(),
            head,
            version,
            manifest,
            table,
        })
    }

    /// Where it was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes of the file; each of its versions that was loaded stays mapped.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// How it was built.
    #[must_use]
    pub fn head(&self) -> &SectionHead {
        &self.head
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A new instance, not started, to which objects of `H` are lent.
    #[must_use]
    pub fn open<H: Lend>(&self) -> Instance<H> {
        Instance::open(self.table)
    }
}

/// Hands the image to the dynamic linker and finds the exported header.
fn map(image: &Image) -> Result<&'static PluginHeader, Refusal> {
    let refuse = |reason: String| {
        let hint = "it needs a library or a symbol that this machine does not have: build it on this machine";
        Refusal::new(LoadErrorKind::Link, reason, hint)
    };
    let mapped = image
        .map()
        .map_err(|error| refuse(format!("its bytes cannot be mapped: {error}")))?;
    // SAFETY: loading runs the file's constructors. Its bytes were checked to be a whole library for this
    // machine and to be those that the operator's policy trusts; more cannot be known.
    // Never RTLD_DEEPBIND: it would split the allocator.
    let library = unsafe { Library::open(Some(mapped.path()), RTLD_NOW | RTLD_LOCAL) };
    let library = library
        .map_err(|error| refuse(format!("the dynamic linker refused it: {}", cause(&error))))?;
    // SAFETY: only the address is taken; what it points to is checked before it is believed.
    let symbol = unsafe { library.get::<*const PluginHeader>(SYMBOL) };
    let address = symbol.map(|symbol| symbol.into_raw().cast::<PluginHeader>());
    // Never closed, and the file that it is known by stays open: see the head of this crate.
    std::mem::forget(library);
    std::mem::forget(mapped);
    let address = address.map_err(|_| {
        let reason =
            "the library is no Coordinator plugin: it does not export `COORDINATOR_PLUGIN`";
        Refusal::new(
            LoadErrorKind::NotAPlugin,
            reason,
            "build it with `#[plugin]` of coordinator-sdk",
        )
    })?;
    // SAFETY: the section of a plugin of this ABI major promises a header at this symbol, in memory that stays
    // mapped; its first 16 bytes are the same in every major, and are compared before anything else is read.
    Ok(unsafe { &*address })
}

/// The header is the authority; a section that says something else was tampered with.
fn check_header(header: &PluginHeader, head: &SectionHead) -> Result<(), Refusal> {
    if header.magic != MAGIC {
        return Err(inconsistent(
            "its header does not begin with the plugin magic".to_owned(),
        ));
    }
    let abi = format!("{}.{}", header.abi_major, header.abi_minor);
    if header.abi_major != ABI_MAJOR {
        return Err(section::wrong_abi(&abi, &head.sdk));
    }
    if (header.size as usize) < size_of::<PluginHeader>() {
        return Err(inconsistent(format!(
            "its header is {} bytes, too short",
            header.size
        )));
    }
    if header.panic != strategy::UNWIND {
        return Err(section::aborts());
    }
    let pairs = [
        ("name", header.name.as_str(), head.name.as_str()),
        ("version", header.version.as_str(), head.version.as_str()),
        ("ABI", abi.as_str(), head.abi.as_str()),
        ("SDK", header.sdk.as_str(), head.sdk.as_str()),
    ];
    match pairs.iter().find(|(_, header, section)| header != section) {
        Some((what, header, section)) => Err(inconsistent(format!(
            "its section and its header disagree on the {what}: `{section}` and `{header}`"
        ))),
        None => Ok(()),
    }
}

fn inconsistent(reason: String) -> Refusal {
    let hint = "the file was changed after it was built: build it again with coordinator-sdk";
    Refusal::new(LoadErrorKind::Inconsistent, reason, hint)
}

/// libloading says only that `dlopen` failed; the reason is in its source.
fn cause(error: &dyn std::error::Error) -> String {
    let text = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    text.lines().next().unwrap_or_default().to_owned()
}
