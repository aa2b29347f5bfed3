//! What operators ask of the running host, each request in a movement of its own.

mod audit;
mod bringing;
mod listing;
mod overrides;
mod plugins;
mod refusal;
mod settings;
mod uninstalling;

use std::sync::Arc;

use coordinator_gateway::Problem;
use coordinator_gateway::operator::{Answer, By, Operating, Operation, Operator, Record};
use coordinator_store::Entry;
use serde_json::json;

use super::House;

impl Operator for House {
    fn operate(self: Arc<Self>, by: By, operation: Operation) -> Operating {
        // On the host's own runtime: files are linked there, and a caller who leaves does not break a change off.
        let doing = {
            let house = Arc::clone(&self);
            self.io()
                .spawn(async move { house.perform(by, operation).await })
        };
        Box::pin(async move {
            doing.await.unwrap_or_else(|error| {
                tracing::error!(error = %error, "an operation did not come to its end");
                Err(Problem::internal())
            })
        })
    }
}

impl House {
    async fn perform(self: Arc<Self>, by: By, operation: Operation) -> Result<Answer, Problem> {
        match operation {
            Operation::Plugins => self.list_plugins().await,
            Operation::Plugin(name) => self.show_plugin(&name).await,
            Operation::Install(install) => self.install(&by, install).await,
            Operation::Upgrade(name, upgrade) => self.upgrade(&by, name, upgrade).await,
            Operation::RollBack(name, comment) => self.roll_back(&by, name, comment).await,
            Operation::Enable(name, enabled, comment) => {
                self.enable(&by, name, enabled, comment).await
            }
            Operation::Bring(name, bring) => self.bring(&by, name, bring).await,
            Operation::Uninstall(name, wanted) => self.uninstall(&by, name, wanted).await,
            Operation::Show(area) => self.show(&area).await,
            Operation::Change(area, changes) => self.set(&by, &area, changes).await,
            Operation::History(area, paging) => self.history(&area, paging).await,
            Operation::Revert(area, revert) => self.revert(&by, &area, revert).await,
            Operation::Record(record) => self.record(&by, record).await,
            Operation::Audit(filter) => self.audit(filter).await,
            Operation::VerifyAudit(kept) => self.verify_audit(kept).await,
        }
    }
}

impl House {
    async fn record(&self, by: &By, record: Record) -> Result<Answer, Problem> {
        let entry = Entry {
            actor: format!("key:{}", by.key),
            action: record.action,
            subject: record.subject,
            detail: record.detail,
            reason: None,
            address: by.address.clone(),
        };
        let recorded = self.store().record(entry).await;
        let recorded = recorded.map_err(|error| refusal::of_store(&error))?;
        Ok(Answer {
            body: json!({"sequence": recorded.sequence}),
            revision: None,
        })
    }
}

/// The revision that is in force after a change.
fn changed(revision: u64) -> Answer {
    Answer {
        body: json!({"revision": revision}),
        revision: Some(revision),
    }
}
