//! What a plugin says of itself in its ELF sections, read without running any of it.

use coordinator_abi::header::{SECTION, SECTION_FORMAT, SectionHead, TYPES_SECTION};
use coordinator_abi::{ABI_MAJOR, ABI_MINOR};
use semver::Version;
use serde_json::Value;

use crate::elf::Elf;
use crate::error::{LoadErrorKind, Refusal};

/// The head, and one JSON object for each handler, route, setting and message type.
#[derive(Debug, Clone)]
pub struct Section {
    /// Name, version, ABI, and how it was compiled.
    pub head: SectionHead,
    /// The version of the head, which is a [semantic version](https://semver.org): Cargo asks for one.
    pub version: Version,
    /// The other lines.
    pub lines: Vec<Value>,
}

impl Section {
    /// Reads the sections.
    pub(crate) fn read(elf: &Elf<'_>) -> Result<Self, Refusal> {
        let Some(bytes) = elf.section(SECTION) else {
            let reason =
                format!("the library is no Coordinator plugin: it has no `{SECTION}` section");
            let hint = "give the `.so` of a crate that uses `#[plugin]` of coordinator-sdk";
            return Err(Refusal::new(LoadErrorKind::NotAPlugin, reason, hint));
        };
        let mut lines = parse(bytes)?;
        lines.extend(parse(elf.section(TYPES_SECTION).unwrap_or_default())?);
        let at = lines.iter().position(|line| line.get("section").is_some());
        let head = at.map(|at| lines.remove(at));
        match head.map(serde_json::from_value::<SectionHead>) {
            Some(Ok(head)) if head.section == SECTION_FORMAT => {
                let version = Version::parse(&head.version)
                    .map_err(|_| malformed("its version is no semantic version"))?;
                if head.name.is_empty() || head.name.contains(blank) {
                    return Err(malformed("its name is empty, or has blanks in it"));
                }
                Ok(Self {
                    head,
                    version,
                    lines,
                })
            }
            _ => Err(malformed("it has no head of a format that this host reads")),
        }
    }

    /// Can this host speak its ABI?
    pub(crate) fn check_abi(&self) -> Result<String, Refusal> {
        let major = self
            .head
            .abi
            .split('.')
            .next()
            .and_then(|major| major.parse::<u16>().ok());
        match major {
            Some(ABI_MAJOR) => Ok(format!(
                "{}, this host speaks {ABI_MAJOR}.{ABI_MINOR}",
                self.head.abi
            )),
            _ => Err(wrong_abi(&self.head.abi, &self.head.sdk)),
        }
    }

    /// Are panics survivable?
    pub(crate) fn check_panic(&self) -> Result<String, Refusal> {
        if self.head.panic == "unwind" {
            Ok("unwind: a panic is survived".to_owned())
        } else {
            Err(aborts())
        }
    }
}

pub(crate) fn wrong_abi(theirs: &str, sdk: &str) -> Refusal {
    let reason = format!(
        "built with coordinator-sdk {sdk} for plugin ABI {theirs}, this host speaks {ABI_MAJOR}.{ABI_MINOR}"
    );
    let hint = format!(
        "rebuild the plugin with `coordinator-sdk = \"{}\"`",
        env!("CARGO_PKG_VERSION")
    );
    Refusal::new(LoadErrorKind::Incompatible, reason, hint)
}

pub(crate) fn aborts() -> Refusal {
    let reason = "built with `panic = \"abort\"`: a panic in it would end the host";
    let hint = "rebuild the plugin with `panic = \"unwind\"` in its release profile";
    Refusal::new(LoadErrorKind::Incompatible, reason, hint)
}

fn malformed(what: &str) -> Refusal {
    let reason = format!("the `{SECTION}` section is malformed: {what}");
    Refusal::new(
        LoadErrorKind::Inconsistent,
        reason,
        "build the plugin again with coordinator-sdk",
    )
}

fn blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control()
}

/// One JSON object a line. Linkers may pad between the parts with zero bytes.
fn parse(bytes: &[u8]) -> Result<Vec<Value>, Refusal> {
    bytes
        .split(|byte| *byte == b'\n' || *byte == 0)
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|_| malformed("a line is not JSON")))
        .collect()
}
