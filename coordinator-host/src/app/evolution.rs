//! A plugin's next version may know more of a message type, and nothing else: what was published before must still be
//! what its handlers take, and what others publish.

use coordinator_wiring::{Finding, Severity, compare};

use super::install::Installed;

/// What the next generations do not take of what was published for those of now.
pub(super) fn check(before: &[Installed], next: &[Installed]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for new in next {
        let old = before.iter().find(|old| old.config.name == new.config.name);
        let (Some(old), Some(new_file)) = (old.and_then(Installed::loaded), new.loaded()) else {
            continue;
        };
        if old.sha256() == new_file.sha256() {
            continue;
        }
        for message in &new_file.manifest().messages {
            let known = old.manifest().messages.iter();
            let Some(known) = known.into_iter().find(|known| known.ty == message.ty) else {
                continue;
            };
            for misfit in compare(&known.schema, &message.schema).misfits {
                findings.push(Finding {
                    id: "incompatible-schema".into(),
                    severity: Severity::Error,
                    subject: format!("{}: {}", new.config.name, message.ty),
                    message: format!(
                        "version {} does not take what version {} allows: {misfit}",
                        new_file.manifest().version,
                        old.manifest().version
                    ),
                    hint: "only optional fields may be added to a type: give what changes more a new one, \
                           ending in the next `.vN`"
                        .to_owned(),
                });
            }
        }
    }
    findings
}
