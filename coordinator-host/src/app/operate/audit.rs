//! Looking at the audit log.

use coordinator_gateway::Problem;
use coordinator_gateway::operator::{Answer, AuditFilter};
use coordinator_store::AuditQuery;
use serde_json::json;

use super::refusal;
use crate::app::House;

impl House {
    pub(super) async fn audit(&self, filter: AuditFilter) -> Result<Answer, Problem> {
        let query = AuditQuery {
            actor: filter.actor,
            action: filter.action,
            subject: filter.subject,
            since: filter.since,
            until: filter.until,
            cursor: filter.paging.cursor,
            limit: filter.paging.limit,
        };
        let page = self.store().audit(&query).await;
        let page = page.map_err(|error| refusal::of_store(&error))?;
        Ok(Answer {
            body: json!(page),
            revision: None,
        })
    }

    pub(super) async fn verify_audit(
        &self,
        kept: Option<(u64, String)>,
    ) -> Result<Answer, Problem> {
        let report = self.store().verify_audit(kept.as_ref()).await;
        let report = report.map_err(|error| refusal::of_store(&error))?;
        Ok(Answer {
            body: json!(report),
            revision: None,
        })
    }
}
