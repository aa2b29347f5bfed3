//! Plugins: installed, upgraded, rolled back, switched on and off.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator_gateway::operator::{Answer, By, Comment, Install, Upgrade};
use coordinator_gateway::{PluginStatus, Problem};
use coordinator_loader::{LoadRequest, Preflight, Version};
use coordinator_store::{Change, NewPlugin, Plugin, PluginFile};
use serde_json::{Value, json};

use super::changed;
use super::refusal::{of_store, problem, refused};
use crate::app::House;
use crate::app::change::{Draft, Write};

impl House {
    pub(super) async fn install(
        self: &Arc<Self>,
        by: &By,
        wanted: Install,
    ) -> Result<Answer, Problem> {
        let shelving = self.shelving().read().await;
        let (checked, file) = self.shelve(&wanted.source, None)?;
        let own = checked.section().head.name.clone();
        let name = wanted.name.unwrap_or_else(|| own_name(&own));
        if self.shown().find(&name).is_some() {
            let detail = format!(
                "a plugin `{name}` is there already\n  (upgrade it, or install this one under another name)"
            );
            return Err(Problem::conflict("name-taken", detail));
        }
        let mut changes = settings(&name, wanted.settings);
        if let Some(mount) = &wanted.mount {
            changes.push(Change::set(format!("plugins.{name}.mount"), mount.as_str()));
        }
        if !wanted.allow_hosts.is_empty() {
            let key = format!("plugins.{name}.allow_hosts");
            changes.push(Change::set(key, wanted.allow_hosts.clone()));
        }
        let detail = json!({
            "plugin": own, "version": file.version, "sha256": file.sha256, "source": wanted.source,
            "settings": keys(&changes), "signed_by": signed_by(&checked),
        });
        let new = NewPlugin {
            name: name.clone(),
            floor: Some(file.version.clone()),
            file,
            enabled: true,
            isolation: "in-process".to_owned(),
            changes,
        };
        let draft = Draft {
            write: Write::Install(new),
            action: "plugin.install",
            subject: name.clone(),
            detail,
            comment: wanted.comment,
            touched: Some(name.clone()),
        };
        let done = self.change(by, draft).await.map_err(problem);
        drop(shelving);
        self.tidy().await;
        Ok(with_name(changed(done?), &name))
    }

    pub(super) async fn upgrade(
        self: &Arc<Self>,
        by: &By,
        name: String,
        wanted: Upgrade,
    ) -> Result<Answer, Problem> {
        let shelving = self.shelving().read().await;
        let plugin = self.adopted(by, &name).await?;
        let floor = plugin.floor.as_ref().and_then(|floor| floor.parse().ok());
        let (checked, file) = self.shelve(&wanted.source, floor.clone())?;
        if file.sha256 == plugin.file.sha256 {
            let detail =
                format!("plugin `{name}` has this very file already\n  (nothing to upgrade)");
            return Err(Problem::conflict("same-file", detail));
        }
        let floor = floor.max(Some(checked.version().clone()));
        let changes = settings(&name, wanted.settings);
        let detail = json!({
            "from": plugin.file.version, "to": file.version, "sha256": file.sha256,
            "source": wanted.source, "settings": keys(&changes), "signed_by": signed_by(&checked),
        });
        let draft = Draft {
            write: Write::Upgrade {
                name: name.clone(),
                file,
                floor: floor.map(|floor| floor.to_string()),
                changes,
            },
            action: "plugin.upgrade",
            subject: name.clone(),
            detail,
            comment: wanted.comment,
            touched: Some(name.clone()),
        };
        let done = self.change(by, draft).await.map_err(problem);
        drop(shelving);
        self.tidy().await;
        Ok(with_name(changed(done?), &name))
    }

    pub(super) async fn roll_back(
        self: &Arc<Self>,
        by: &By,
        name: String,
        comment: Comment,
    ) -> Result<Answer, Problem> {
        self.known(&name)?;
        let stored = self.stored().await?;
        let earlier = |plugin: &Plugin| plugin.previous;
        let Some((plugin, to)) = stored.get(&name).and_then(|it| Some((it, earlier(it)?))) else {
            let detail = format!(
                "plugin `{name}` has no earlier version\n  (it was never upgraded, or is at its first)"
            );
            return Err(Problem::conflict("no-earlier-version", detail));
        };
        let versions = self.store().plugin_versions(&name).await;
        let versions = versions.map_err(|error| of_store(&error))?;
        let Some(target) = versions.into_iter().find(|version| version.id == to) else {
            return Err(Problem::internal());
        };
        let detail = json!({
            "from": plugin.file.version, "to": target.file.version, "sha256": target.file.sha256,
        });
        let draft = Draft {
            write: Write::RollBack {
                name: name.clone(),
                to: (to, target.file),
                from: plugin.version_id,
            },
            action: "plugin.rollback",
            subject: name.clone(),
            detail,
            comment: comment.comment,
            touched: Some(name.clone()),
        };
        let revision = self.change(by, draft).await.map_err(problem)?;
        Ok(with_name(changed(revision), &name))
    }

    pub(super) async fn enable(
        self: &Arc<Self>,
        by: &By,
        name: String,
        enabled: bool,
        comment: Comment,
    ) -> Result<Answer, Problem> {
        let state = self.known(&name)?;
        if enabled == (state != PluginStatus::Disabled) {
            let now = if enabled { "on" } else { "off" };
            let detail = format!("plugin `{name}` is switched {now} already");
            return Err(Problem::conflict("nothing-to-change", detail));
        }
        let write = if self.stored().await?.contains_key(&name) {
            Write::Enable {
                name: name.clone(),
                enabled,
            }
        } else {
            // It stands in the configuration file: what is said here goes before that.
            Write::Overrides {
                changes: vec![Change::set(format!("plugins.{name}.enabled"), enabled)],
                reverts: None,
            }
        };
        let draft = Draft {
            write,
            action: if enabled {
                "plugin.enable"
            } else {
                "plugin.disable"
            },
            subject: name.clone(),
            detail: json!({}),
            comment: comment.comment,
            touched: enabled.then(|| name.clone()),
        };
        let revision = self.change(by, draft).await.map_err(problem)?;
        Ok(with_name(changed(revision), &name))
    }

    /// Checks a file, running none of it, and puts it where nobody changes it.
    pub(super) fn shelve(
        &self,
        source: &str,
        floor: Option<Version>,
    ) -> Result<(Preflight, PluginFile), Problem> {
        tokio::task::block_in_place(|| {
            let path = coordinator_loader::find(source)
                .map_err(|error| refused("no-such-file", error.to_string()))?;
            let request = LoadRequest::new(&path);
            let request = match floor {
                Some(floor) => request.floor(floor),
                None => request,
            };
            let checked = self.loader().preflight(request);
            let checked = checked.map_err(|error| refused("plugin-refused", error.to_string()))?;
            let shelved = self.shelf().put(&checked).map_err(|error| {
                tracing::error!(error = %error, "a plugin file was not kept");
                refused("not-kept", error.to_string())
            })?;
            // Where it is also when the host is started in another folder.
            let path = shelved.canonicalize().unwrap_or(shelved);
            let file = PluginFile {
                path,
                sha256: checked.sha256().to_owned(),
                version: checked.version().to_string(),
            };
            Ok((checked, file))
        })
    }

    /// The plugin as the store has it. One of the configuration file is taken over first, as it runs.
    async fn adopted(self: &Arc<Self>, by: &By, name: &str) -> Result<Plugin, Problem> {
        self.known(name)?;
        if let Some(plugin) = self.stored().await?.remove(name) {
            return Ok(plugin);
        }
        let shown = self.shown();
        let (path, sha256) = match shown.find(name) {
            Some(plugin) => (&plugin.entry.path, &plugin.entry.sha256),
            None => return Err(Problem::internal()),
        };
        let (_, file) = self.shelve(&path.to_string_lossy(), None)?;
        if sha256.as_ref().is_some_and(|loaded| *loaded != file.sha256) {
            let detail = format!(
                "the file of plugin `{name}` is another one than what runs\n  (let the host read it first: `kill -HUP`, or put the old file back)"
            );
            return Err(Problem::conflict("file-changed", detail));
        }
        let shown = shown.find(name);
        let enabled = shown.is_some_and(|it| it.entry.state != PluginStatus::Disabled);
        let new = NewPlugin {
            name: name.to_owned(),
            floor: Some(file.version.clone()),
            file,
            enabled,
            isolation: "in-process".to_owned(),
            changes: Vec::new(),
        };
        let draft = Draft {
            write: Write::Install(new),
            action: "plugin.adopt",
            subject: name.to_owned(),
            detail: json!({}),
            comment: None,
            touched: None,
        };
        self.change(by, draft).await.map_err(problem)?;
        let adopted = self.stored().await?.remove(name);
        adopted.ok_or_else(Problem::internal)
    }

    /// Drops files that no plugin has or can be rolled back to.
    pub(crate) async fn tidy(&self) {
        // Nothing may be installed meanwhile.
        let _alone = self.shelving().write().await;
        let _unchanged = self.current().await;
        let Ok(files) = self.store().files_in_use().await else {
            return;
        };
        let keep = files.into_iter().map(|file| file.sha256).collect();
        if let Err(error) = self.shelf().collect(&keep) {
            tracing::warn!(error = %error, "files of plugins that are gone were not removed");
        }
    }
}

/// The name of the key whose signature counted, where signatures do.
pub(super) fn signed_by(checked: &Preflight) -> Option<&str> {
    checked.signed().map(|signed| signed.key.as_str())
}

/// What an instance is called that is given no name: `coordinator-lms` is `lms`.
fn own_name(package: &str) -> String {
    let short = package.strip_prefix("coordinator-").unwrap_or(package);
    short.replace('_', "-")
}

fn settings(name: &str, settings: BTreeMap<String, Value>) -> Vec<Change> {
    let change = |(key, value): (String, Value)| Change {
        key: format!("plugins.{name}.settings.{key}"),
        value: (!value.is_null()).then_some(value),
    };
    settings.into_iter().map(change).collect()
}

fn keys(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.key.as_str()).collect()
}

pub(super) fn with_name(mut answer: Answer, name: &str) -> Answer {
    answer.body["name"] = json!(name);
    answer
}
