//! Flags: which there are, what operators say of them, and where two declarations of one do not agree.

use std::collections::BTreeMap;

use crate::Wiring;
use crate::bind::Installed;
use crate::finding::{Finding, Severity};

/// A flag of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundFlag {
    /// `instance.flag`.
    pub id: String,
    /// What the plugin calls itself: two instances of one plugin have the same.
    pub plugin: String,
    /// What it switches.
    pub doc: String,
    /// Is it on unless an operator says otherwise?
    pub default: bool,
}

impl BoundFlag {
    /// Without its instance.
    fn name(&self) -> &str {
        self.id.split_once('.').map_or("", |(_, name)| name)
    }
}

impl Wiring {
    /// Each flag of the plugin, once however often it is declared.
    pub(crate) fn bind_flags(&mut self, plugin: &Installed<'_>, findings: &mut Vec<Finding>) {
        for flag in &plugin.manifest.flags {
            let id = format!("{}.{}", plugin.name, flag.name);
            if let Some(first) = self.flags.iter().find(|known| known.id == id) {
                findings.push(declared_twice(first, flag.default));
                continue;
            }
            self.flags.push(BoundFlag {
                id,
                plugin: plugin.manifest.name.clone(),
                doc: flag.doc.clone(),
                default: flag.default,
            });
        }
    }

    /// What is odd about flags, and about what operators say of them in `set`. Of plugins that are `away` nothing is
    /// known.
    #[must_use]
    pub fn check_flags(&self, set: &BTreeMap<String, bool>, away: &[&str]) -> Vec<Finding> {
        let mut findings = self.differing(set);
        findings.extend(self.unknown(set, away));
        findings
    }

    /// Flags of one name that are on in one instance and off in another, where no operator has said how they stand.
    fn differing(&self, set: &BTreeMap<String, bool>) -> Vec<Finding> {
        let mut first: BTreeMap<&str, &BoundFlag> = BTreeMap::new();
        let mut findings = Vec::new();
        for flag in self.flags.iter().filter(|flag| !set.contains_key(&flag.id)) {
            let first = *first.entry(flag.name()).or_insert(flag);
            if first.default != flag.default {
                findings.push(differs(first, flag));
            }
        }
        findings
    }

    /// Flags that operators switch and no plugin declares.
    fn unknown(&self, set: &BTreeMap<String, bool>, away: &[&str]) -> Vec<Finding> {
        let known = || self.flags.iter().map(|flag| flag.id.as_str());
        let instance = |id: &str| id.split('.').next().unwrap_or_default().to_owned();
        let unknown = set.keys().filter(|id| {
            !known().any(|known| known == id.as_str()) && !away.contains(&instance(id).as_str())
        });
        let finding = |id: &String| Finding {
            id: "unknown-flag".into(),
            severity: Severity::Warning,
            subject: format!("flags.\"{id}\""),
            message: "no loaded plugin declares this flag: it switches nothing".to_owned(),
            hint: match coordinator_config::nearest(id, known()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "see `coordinator flag list`".to_owned(),
            },
        };
        unknown.map(finding).collect()
    }
}

/// Of one plugin: which default counts would be decided by the order in which the linker has them.
fn declared_twice(first: &BoundFlag, default: bool) -> Finding {
    let (severity, message, hint) = if first.default == default {
        let message = "the plugin declares it in two `#[flags]` structs: one switch turns both";
        let hint = "declare it once in the plugin, or give one of them another name";
        (Severity::Warning, message, hint)
    } else {
        let message =
            "the plugin declares it in two `#[flags]` structs, on in one and off in the other";
        let hint = "declare it once in the plugin, or give one of them another name: until then install another version of it, or switch the plugin off";
        (Severity::Error, message, hint)
    };
    Finding {
        id: "duplicate-flag".into(),
        severity,
        subject: first.id.clone(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

/// Of two instances. Those of one plugin are of two versions, and somebody may expect them to be alike; two plugins may
/// well have flags of one name.
fn differs(first: &BoundFlag, other: &BoundFlag) -> Finding {
    let stands = |flag: &BoundFlag| if flag.default { "on" } else { "off" };
    let one_plugin = first.plugin == other.plugin;
    let whose = if one_plugin {
        format!("both are of plugin `{}`", other.plugin)
    } else {
        format!(
            "they are two flags, of plugins `{}` and `{}`",
            first.plugin, other.plugin
        )
    };
    Finding {
        id: "flag-default-differs".into(),
        severity: if one_plugin {
            Severity::Warning
        } else {
            Severity::Info
        },
        subject: other.id.clone(),
        message: format!(
            "it is {} unless somebody says otherwise, and `{}` is {}: {whose}",
            stands(other),
            first.id,
            stands(first)
        ),
        hint: format!(
            "say how it is to stand: `coordinator flag set {} on`, or `off`",
            other.id
        ),
    }
}
