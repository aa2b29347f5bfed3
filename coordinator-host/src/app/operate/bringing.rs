//! The file of a plugin that another host installed, brought to this one.

use std::sync::Arc;

use coordinator_gateway::Problem;
use coordinator_gateway::operator::{Answer, Bring, By};
use coordinator_store::Entry;
use serde_json::json;

use super::changed;
use super::plugins::{signed_by, with_name};
use super::refusal::{of_store, problem};
use crate::app::House;

impl House {
    /// Only the file that the database names is taken: another version is an upgrade, of all hosts.
    pub(super) async fn bring(
        self: &Arc<Self>,
        by: &By,
        name: String,
        wanted: Bring,
    ) -> Result<Answer, Problem> {
        let Some(plugin) = self.stored().await?.remove(&name) else {
            self.known(&name)?;
            let detail = format!(
                "plugin `{name}` stands in the configuration file of this host\n  (put its file where `path` says, and let the host read it again: `kill -HUP`)"
            );
            return Err(Problem::conflict("not-installed", detail));
        };
        let shelving = self.shelving().read().await;
        if let Some(running) = self.shown().find(&name) {
            // What runs is what a rollback would go back to. If it is that no more, it is tidied away.
            let _ = self.shelve(&running.entry.path.to_string_lossy(), None);
        }
        let (checked, file) = self.shelve(&wanted.source, None)?;
        if file.sha256 != plugin.file.sha256 {
            drop(shelving);
            self.tidy().await;
            let detail = format!(
                "plugin `{name}` has version {} with SHA-256 {}, and this file is version {} with {}\n  (bring the file that was installed, or `coordinator plugin upgrade {name}` with this one)",
                plugin.file.version, plugin.file.sha256, file.version, file.sha256
            );
            return Err(Problem::conflict("another-file", detail));
        }
        let entry = Entry {
            actor: format!("key:{}", by.key),
            action: "plugin.bring".to_owned(),
            subject: name.clone(),
            detail: json!({
                "version": file.version, "sha256": file.sha256, "source": wanted.source,
                "signed_by": signed_by(&checked),
            }),
            reason: wanted.comment,
            address: by.address.clone(),
        };
        let revision = {
            let mut current = self.current().await;
            self.catch_up(&mut current).await.map_err(problem)?
        };
        let recorded = self.store().record(entry).await;
        recorded.map_err(|error| of_store(&error))?;
        Ok(with_name(changed(revision), &name))
    }
}
