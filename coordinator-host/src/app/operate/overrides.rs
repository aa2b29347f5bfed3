//! Wiring and settings: what is in force, what operators set over the configuration file, and going back.

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator_gateway::Problem;
use coordinator_gateway::operator::{Answer, Area, By, Changes, Paging, Revert};
use coordinator_store::{Change, RevisionQuery};
use serde_json::{Value, json};

use super::changed;
use super::refusal::{of_store, problem, refused};
use super::settings::no_plugin;
use crate::app::House;
use crate::app::change::{Draft, Write};

impl House {
    pub(super) async fn show(&self, area: &Area) -> Result<Answer, Problem> {
        let snapshot = self.store().snapshot().await;
        let snapshot = snapshot.map_err(|error| of_store(&error))?;
        let set = snapshot.overrides.into_iter();
        let set: serde_json::Map<String, Value> = set
            .filter(|(key, _)| area_of(area, key))
            .map(|(key, set)| (key, json!(set)))
            .collect();
        let mut body = match area {
            Area::Wiring => self.show_wiring(),
            Area::Settings(plugin) => self.show_settings(plugin)?,
            Area::Flags => json!({"flags": self.flags().list()}),
        };
        body["revision"] = json!(snapshot.revision);
        body["overrides"] = Value::Object(set);
        Ok(Answer {
            body,
            revision: Some(snapshot.revision),
        })
    }

    fn show_wiring(&self) -> Value {
        let (wiring, shown) = (self.wiring(), self.shown());
        let handlers = wiring.handlers.iter().map(|handler| {
            json!({
                "id": handler.id, "doc": handler.doc,
                "types": handler.types.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "lanes": handler.lanes.values().flatten().collect::<BTreeSet<_>>(), "max_attempts": handler.terms.max_attempts,
                "timeout_ms": millis(handler.terms.timeout), "concurrency": handler.terms.concurrency,
                "backoff_ms": [millis(handler.terms.backoff_min), millis(handler.terms.backoff_max)],
                "rate": handler.terms.rate.map(|rate| rate.to_string()),
                "order": handler.terms.order.as_str(),
                "on_exhausted": handler.terms.on_exhausted.as_str(),
                "breaker": handler.terms.breaker.is_some(),
            })
        });
        let routes = wiring.routes.iter().map(|route| {
            json!({
                "plugin": route.instance, "name": route.name, "method": route.method,
                "path": route.path, "doc": route.doc,
            })
        });
        let mounts = shown.plugins.iter().map(|plugin| {
            let entry = &plugin.entry;
            (entry.name.clone(), json!(entry.mount))
        });
        // Where each value of the operator's own tables comes from.
        let written = shown.config.entries().into_iter();
        let written = written.filter(|entry| entry.key.starts_with("wiring."));
        let written = written.map(|entry| {
            json!({"key": entry.key, "value": entry.value, "source": entry.source.to_string()})
        });
        json!({
            "handlers": handlers.collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
            "mounts": mounts.collect::<serde_json::Map<_, _>>(),
            "configured": written.collect::<Vec<_>>(),
        })
    }

    pub(super) async fn set(
        self: &Arc<Self>,
        by: &By,
        area: &Area,
        wanted: Changes,
    ) -> Result<Answer, Problem> {
        if let Area::Settings(plugin) = area
            && self.shown().find(plugin).is_none()
        {
            return Err(no_plugin(plugin));
        }
        let mut changes = Vec::new();
        for (key, value) in wanted.changes {
            let key = full_key(area, key)?;
            let value = (!value.is_null()).then_some(value);
            changes.push(Change { key, value });
        }
        if changes.is_empty() {
            return Err(refused("invalid-change", "nothing to change was given"));
        }
        if let Area::Settings(plugin) = area {
            self.know_settings(plugin, &changes)?;
        }
        let write = Write::Overrides {
            changes: changes.clone(),
            reverts: None,
        };
        self.override_with(by, area, "set", write, &changes, wanted.comment)
            .await
    }

    pub(super) async fn revert(
        self: &Arc<Self>,
        by: &By,
        area: &Area,
        wanted: Revert,
    ) -> Result<Answer, Problem> {
        let changes = self.store().changes_back_to(wanted.revision, None).await;
        let mut changes = changes.map_err(|error| of_store(&error))?;
        changes.retain(|change| area_of(area, &change.key));
        if changes.is_empty() {
            let detail = format!(
                "everything here is as it was at revision {}: there is nothing to revert",
                wanted.revision
            );
            return Err(Problem::conflict("nothing-to-change", detail));
        }
        let write = Write::Overrides {
            changes: changes.clone(),
            reverts: Some(wanted.revision),
        };
        self.override_with(by, area, "revert", write, &changes, wanted.comment)
            .await
    }

    async fn override_with(
        self: &Arc<Self>,
        by: &By,
        area: &Area,
        verb: &str,
        write: Write,
        changes: &[Change],
        comment: Option<String>,
    ) -> Result<Answer, Problem> {
        let set = changes.iter().map(|change| {
            // A secret is never among them: of those only where they are can be set.
            json!({"key": change.key, "value": change.value})
        });
        let (action, subject) = match (area, verb) {
            (Area::Wiring, "set") => ("wiring.set", "wiring".to_owned()),
            (Area::Wiring, _) => ("wiring.revert", "wiring".to_owned()),
            (Area::Settings(plugin), "set") => ("settings.set", plugin.clone()),
            (Area::Settings(plugin), _) => ("settings.revert", plugin.clone()),
            (Area::Flags, "set") => ("flags.set", "flags".to_owned()),
            (Area::Flags, _) => ("flags.revert", "flags".to_owned()),
        };
        let touched = match area {
            Area::Settings(plugin) => Some(plugin.clone()),
            Area::Wiring | Area::Flags => None,
        };
        let draft = Draft {
            write,
            action,
            subject,
            detail: json!({"changes": set.collect::<Vec<_>>()}),
            comment,
            touched,
        };
        let revision = self.change(by, draft).await.map_err(problem)?;
        Ok(changed(revision))
    }

    pub(super) async fn history(&self, area: &Area, paging: Paging) -> Result<Answer, Problem> {
        let below = match area {
            // Mounts are among it, and stand elsewhere.
            Area::Wiring => None,
            Area::Settings(plugin) => Some(format!("plugins.{plugin}.settings")),
            Area::Flags => Some("flags".to_owned()),
        };
        let query = RevisionQuery {
            below,
            cursor: paging.cursor,
            limit: paging.limit,
        };
        let page = self.store().revisions(&query).await;
        let mut page = page.map_err(|error| of_store(&error))?;
        for revision in &mut page.items {
            revision.changes.retain(|it| area_of(area, &it.key));
        }
        page.items.retain(|revision| !revision.changes.is_empty());
        Ok(Answer {
            body: json!({"items": page.items, "next": page.next}),
            revision: None,
        })
    }
}

/// Is this key a matter of the area?
fn area_of(area: &Area, key: &str) -> bool {
    match area {
        Area::Wiring => key.starts_with("wiring.") || is_mount(key),
        Area::Settings(plugin) => {
            let of = |table: &str| key.starts_with(&format!("plugins.{plugin}.{table}"));
            of("settings.") || key == format!("plugins.{plugin}.allow_hosts")
        }
        Area::Flags => key.starts_with("flags."),
    }
}

fn is_mount(key: &str) -> bool {
    let name = key.strip_prefix("plugins.");
    let name = name.and_then(|rest| rest.strip_suffix(".mount"));
    name.is_some_and(|name| !name.contains('.'))
}

/// The key as the configuration has it.
fn full_key(area: &Area, key: String) -> Result<String, Problem> {
    let full = match area {
        Area::Settings(plugin) if !key.starts_with("plugins.") && !key.starts_with("wiring.") => {
            format!("plugins.{plugin}.settings.{key}")
        }
        _ => key.clone(),
    };
    if area_of(area, &full) {
        return Ok(full);
    }
    let key: String = key.chars().take(128).collect();
    let expected = match area {
        Area::Wiring => {
            "a key of the wiring, such as `wiring.handlers.\"lms.enrol\".timeout`, or `plugins.NAME.mount`"
                .to_owned()
        }
        Area::Flags => "a flag, such as `flags.\"lms.new_checkout\"`".to_owned(),
        Area::Settings(plugin) => format!(
            "a setting of the plugin, such as `base_url` or `plugins.{plugin}.settings.base_url`"
        ),
    };
    Err(refused(
        "invalid-change",
        format!("`{key}` cannot be set here: expected {expected}"),
    ))
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
