//! Files of installed plugins. The database that hosts share says which, by hash; each host has them on a shelf of its own.

use std::collections::BTreeMap;

use coordinator_loader::Shelf;
use coordinator_store::{PluginFile, Snapshot};

/// Says of every installed plugin where its file is on this host, wherever it was installed. Answers the files that
/// are not here, by instance.
pub(super) fn find(snapshot: &mut Snapshot, shelf: &Shelf) -> BTreeMap<String, PluginFile> {
    let mut missing = BTreeMap::new();
    for plugin in &mut snapshot.plugins {
        let file = &mut plugin.file;
        let found = shelf.file(&file.sha256).unwrap_or_else(|error| {
            tracing::warn!(plugin.name = plugin.name, error = %error, "the shelf was not read");
            None
        });
        if let Some(found) = found {
            // As it was named when it was installed here: nothing is loaded anew because it is called otherwise.
            file.path = found.canonicalize().unwrap_or(found);
        } else {
            missing.insert(plugin.name.clone(), file.clone());
        }
    }
    missing
}

/// Why a plugin is not what the database says, for operators of this host.
pub(super) fn reason(name: &str, file: &PluginFile) -> String {
    let PluginFile {
        sha256, version, ..
    } = file;
    format!(
        "the file of version {version} is not on this host: it was installed on another one\n  (SHA-256 {sha256}; copy the file to this machine, then `coordinator plugin bring {name} FILE` here)"
    )
}
