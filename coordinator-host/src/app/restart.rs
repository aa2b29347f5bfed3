//! What a configuration that is read again cannot change while the host runs.

use coordinator_config::Config;

/// Says which sections wait for a restart.
pub(super) fn tell(before: &Config, now: &Config) {
    let keys = |config: &Config| -> Vec<String> {
        config.api_keys.iter().map(|key| key.name.clone()).collect()
    };
    let said = |section: &dyn std::fmt::Debug| format!("{section:?}");
    let differs =
        |before: &dyn std::fmt::Debug, now: &dyn std::fmt::Debug| said(before) != said(now);
    let changed = [
        ("server", differs(&before.server, &now.server)),
        ("journal", differs(&before.journal, &now.journal)),
        ("log", differs(&before.log, &now.log)),
        ("egress", differs(&before.egress, &now.egress)),
        ("database", differs(&before.database, &now.database)),
        ("cache", differs(&before.cache, &now.cache)),
        (
            "dispatch.threads",
            before.dispatch.threads != now.dispatch.threads,
        ),
        ("api.keys", keys(before) != keys(now)),
    ];
    for (section, _) in changed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!(
            section,
            "`[{section}]` has changed: that takes effect after a restart"
        );
    }
}
