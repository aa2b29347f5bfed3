//! Files of installed plugins. The database that hosts share says which, by hash; each host has them on a shelf of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coordinator_loader::{LoadRequest, Loader, Shelf};
use coordinator_store::{PluginFile, Snapshot};

/// Where the files of a host are.
pub(super) struct Files<'a> {
    pub(super) shelf: &'a Shelf,
    /// Says of a file whether it may be loaded.
    pub(super) loader: &'a Loader,
}

impl Files<'_> {
    /// Says of every installed plugin where its file is on this host, wherever it was installed. Answers the files that
    /// are not here, by instance. `other` may know a place beside the shelf: another host takes over what stands in the
    /// configuration file of both.
    pub(super) fn find(
        &self,
        snapshot: &mut Snapshot,
        other: impl Fn(&str) -> Option<PathBuf>,
    ) -> BTreeMap<String, PluginFile> {
        locate(self.shelf, snapshot, |name, file| {
            self.shelve(&other(name)?, file)
        })
    }

    /// Puts the file at `path` on the shelf, if it is the one that is looked for.
    fn shelve(&self, path: &std::path::Path, file: &PluginFile) -> Option<PathBuf> {
        let checked = self.loader.preflight(LoadRequest::new(path)).ok()?;
        if checked.sha256() != file.sha256 {
            return None;
        }
        let put = self.shelf.put(&checked);
        put.inspect_err(|error| tracing::warn!(error = %error, "a plugin file was not kept"))
            .ok()
    }
}

/// As [`Files::find`] would say it; nothing is put on the shelf.
pub(super) fn look(
    shelf: &Shelf,
    snapshot: &mut Snapshot,
    other: impl Fn(&str) -> Option<PathBuf>,
) -> BTreeMap<String, PluginFile> {
    locate(shelf, snapshot, |name, file| {
        let path = other(name)?;
        let found = coordinator_loader::inspect(&path).ok()?;
        (found.sha256 == file.sha256).then_some(path)
    })
}

fn locate(
    shelf: &Shelf,
    snapshot: &mut Snapshot,
    beside: impl Fn(&str, &PluginFile) -> Option<PathBuf>,
) -> BTreeMap<String, PluginFile> {
    let mut missing = BTreeMap::new();
    for plugin in &mut snapshot.plugins {
        let found = shelved(shelf, &plugin.file);
        match found.or_else(|| beside(&plugin.name, &plugin.file)) {
            // As it was named when it was installed here: nothing is loaded anew because it is called otherwise.
            Some(path) => plugin.file.path = path.canonicalize().unwrap_or(path),
            None => drop(missing.insert(plugin.name.clone(), plugin.file.clone())),
        }
    }
    missing
}

fn shelved(shelf: &Shelf, file: &PluginFile) -> Option<PathBuf> {
    shelf.file(&file.sha256).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "the shelf of plugin files was not read");
        None
    })
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
