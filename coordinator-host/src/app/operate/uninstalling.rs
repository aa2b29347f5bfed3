//! Taking a plugin away: what waits for it is counted first, and whoever takes it away has to know.

use std::sync::Arc;

use coordinator_gateway::Problem;
use coordinator_gateway::operator::{Answer, By, Uninstall};
use coordinator_store::Change;
use serde_json::{Value, json};

use super::changed;
use super::plugins::with_name;
use super::refusal::{of_store, problem, refused};
use crate::app::House;
use crate::app::change::{Draft, Write};

/// What one handler has not settled.
struct Waiting {
    handler: String,
    deliveries: u64,
}

impl House {
    pub(super) async fn uninstall(
        self: &Arc<Self>,
        by: &By,
        name: String,
        wanted: Uninstall,
    ) -> Result<Answer, Problem> {
        self.known(&name)?;
        if !self.stored().await?.contains_key(&name) {
            let detail = format!(
                "plugin `{name}` stands in the configuration file\n  (take `[plugins.{name}]` out of it and let the host read it again, or switch the plugin off with `coordinator plugin disable {name}`)"
            );
            return Err(refused("not-installed", detail));
        }
        let waiting = self.waiting_for(&name).await?;
        if !waiting.is_empty() && !wanted.confirmed {
            return Err(unconfirmed(&name, &waiting));
        }
        let snapshot = self.store().snapshot().await;
        let snapshot = snapshot.map_err(|error| of_store(&error))?;
        let own = format!("wiring.handlers.\"{name}.");
        let about = snapshot
            .overrides
            .keys()
            .filter(|key| key.starts_with(&own));
        let waiting: Vec<Value> = waiting.iter().map(Waiting::view).collect();
        let draft = Draft {
            write: Write::Uninstall {
                name: name.clone(),
                changes: about.map(Change::remove).collect(),
            },
            action: "plugin.uninstall",
            subject: name.clone(),
            detail: json!({"waiting": waiting}),
            comment: wanted.comment,
            touched: None,
        };
        let done = self.change(by, draft).await.map_err(problem);
        self.tidy().await;
        let mut answer = with_name(changed(done?), &name);
        answer.body["waiting"] = waiting.into();
        Ok(answer)
    }

    /// What waits for the handlers of a plugin, also those that nobody serves.
    async fn waiting_for(&self, name: &str) -> Result<Vec<Waiting>, Problem> {
        let own = format!("{name}.");
        let handlers = self.publisher().journal().stats().await?.handlers;
        let waiting = handlers.into_iter().filter_map(|counted| {
            let waits = counted.handler.starts_with(&own) && counted.lag > 0;
            waits.then_some(Waiting {
                handler: counted.handler,
                deliveries: counted.lag,
            })
        });
        Ok(waiting.collect())
    }
}

impl Waiting {
    fn view(&self) -> Value {
        json!({"handler": self.handler, "deliveries": self.deliveries})
    }
}

fn unconfirmed(name: &str, waiting: &[Waiting]) -> Problem {
    let each = waiting.iter().map(|one| {
        let Waiting {
            handler,
            deliveries,
        } = one;
        format!("{deliveries} for `{handler}`")
    });
    let each: Vec<_> = each.collect();
    let detail = format!(
        "deliveries wait for plugin `{name}`: {}\n  (without it they become dead letters after `journal.retention`, unless it is installed again under this name; ask with `confirmed=true`)",
        each.join(", ")
    );
    Problem::conflict("deliveries-wait", detail)
}
