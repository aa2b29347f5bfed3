//! The one symbol that a plugin exports, and the line that its ELF section begins with.

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader};
use abi_stable::std_types::RStr;
use serde::{Deserialize, Serialize};

use crate::code::strategy;
use crate::{ABI_MAJOR, ABI_MINOR, Code, PluginTableRef};

/// Name of the exported symbol, as `dlsym` takes it.
pub const SYMBOL: &[u8] = b"COORDINATOR_PLUGIN\0";
/// First eight bytes of the header.
pub const MAGIC: [u8; 8] = *b"COORDPLG";
/// Name of the ELF section with the preflight lines.
pub const SECTION: &str = ".coordinator";
/// Name of the ELF section with a line for each message type. A section of its own, so that the head stays the
/// first line of [`SECTION`]: linkers keep no order among the statics of one section.
pub const TYPES_SECTION: &str = ".coordinator.types";
/// Version of the section's own format.
pub const SECTION_FORMAT: u32 = 1;

/// The exported header. The first 16 bytes never change, in any major: a host reads them first.
#[repr(C)]
pub struct PluginHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// ABI major.
    pub abi_major: u16,
    /// ABI minor.
    pub abi_minor: u16,
    /// Size of this struct, in bytes.
    pub size: u32,
    /// See [`strategy`].
    pub panic: Code,
    /// Plugin name.
    pub name: RStr<'static>,
    /// Plugin version.
    pub version: RStr<'static>,
    /// SDK version.
    pub sdk: RStr<'static>,
    /// Header of the abi_stable root module [`PluginTableRef`].
    pub root: &'static LibHeader,
}

/// What a plugin's macro says of it.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Plugin name.
    pub name: &'static str,
    /// Plugin version.
    pub version: &'static str,
    /// SDK version.
    pub sdk: &'static str,
    /// Compiled with unwinding panics?
    pub unwinds: bool,
}

impl PluginHeader {
    /// The header of a plugin with this identity and root module.
    #[must_use]
    pub const fn new(identity: Identity, root: &'static LibHeader) -> Self {
        Self {
            magic: MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            size: size_of::<Self>() as u32,
            panic: if identity.unwinds {
                strategy::UNWIND
            } else {
                strategy::ABORT
            },
            name: RStr::from_str(identity.name),
            version: RStr::from_str(identity.version),
            sdk: RStr::from_str(identity.sdk),
            root,
        }
    }

    /// The plugin's table, if the layouts of both sides fit, in one direction or the other.
    ///
    /// abi_stable by itself refuses a host that is newer than its plugin; since tables only grow, either
    /// direction proves that the shorter is a prefix of the longer.
    ///
    /// # Errors
    ///
    /// The layout report, which is long.
    pub fn table(&self) -> Result<PluginTableRef, LayoutError> {
        let root: &'static LibHeader = self.root;
        // SAFETY: `AbiHeaderRef` is a transparent reference to an `AbiHeader`, the first field of the
        // `repr(C)` `LibHeader`, in every version of abi_stable that has the same magic (checked next).
        let abi_header = unsafe { std::mem::transmute::<&'static LibHeader, AbiHeaderRef>(root) };
        let root = abi_header
            .upgrade()
            .map_err(|error| LayoutError(error.to_string()))?;
        let theirs = root
            .layout()
            .ok_or_else(|| LayoutError("the plugin carries no layouts".to_owned()))?;
        let ours = <PluginTableRef as StableAbi>::LAYOUT;
        let forward = check_layout_compatibility(ours, theirs);
        if let Err(forward) = forward
            && let Err(backward) = check_layout_compatibility(theirs, ours)
        {
            return Err(LayoutError(format!(
                "{forward}\n--- and the other way ---\n{backward}"
            )));
        }
        // SAFETY: the layouts were just compared.
        unsafe { root.unchecked_layout::<PluginTableRef>() }
            .map_err(|error| LayoutError(error.to_string()))
    }
}

/// The two sides do not have the same types.
#[derive(Debug)]
pub struct LayoutError(String);

impl std::fmt::Display for LayoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutError {}

/// The first line of the section: the header again, readable without loading the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionHead {
    /// [`SECTION_FORMAT`].
    pub section: u32,
    /// Plugin name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// ABI, `major.minor`.
    pub abi: String,
    /// SDK version.
    pub sdk: String,
    /// Compiler.
    pub rustc: String,
    /// Target triple.
    pub target: String,
    /// `unwind` or `abort`.
    pub panic: String,
}
