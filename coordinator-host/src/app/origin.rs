//! Where in the configuration a finding has its cause: in the file, or in what operators set over it.

use coordinator_config::{Config, Source};

/// The layers that say something of what a finding is about; none if it is about a plugin's own doing.
pub(super) fn of(config: &Config, subject: &str) -> Vec<Source> {
    // A pipeline's steps, `NAME: STEP → STEP`, and a type's, `TYPE: PLUGIN → PLUGIN`.
    let first = subject.split(": ").next().unwrap_or(subject);
    let keys = [
        subject.to_owned(),
        format!("wiring.handlers.\"{first}\""),
        format!("wiring.pipelines.\"{first}\""),
    ];
    let mut sources: Vec<Source> = Vec::new();
    for source in keys.iter().flat_map(|key| config.said_by(key)) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}
