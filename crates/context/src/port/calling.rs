//! Calling other systems from a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::Outcome;
use coordinator_abi::call::{FailureMeta, HttpMeta};
use coordinator_egress::{EgressError, OutboundRequest, OutboundResponse};

use super::Port;
use crate::outcomes::{chain, egress_code};

impl Port {
    pub(super) async fn call_out(
        &self,
        meta: HttpMeta,
        body: Bytes,
    ) -> Result<OutboundResponse, EgressError> {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(meta.headers.len() + 1);
        for (name, value) in meta.headers {
            headers.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
        if let Some(key) = self.idempotency_key(&meta.method)
            && !headers.iter().any(|(name, _)| name == "idempotency-key")
        {
            headers.push(("idempotency-key".to_owned(), key));
        }
        let request = OutboundRequest {
            method: meta.method,
            url: meta.url,
            headers,
            body,
            timeout: meta.timeout_ms.map(Duration::from_millis),
            trace: self.trace,
            policy: Arc::clone(&self.shared.policy),
        };
        self.shared.services.egress.send(request).await
    }

    pub(super) fn unanswered(&self, error: &EgressError) -> Outcome {
        let after_ms = match error {
            EgressError::Open { after, .. } => {
                // A breaker that opens in less than a millisecond is open all the same.
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX).max(1);
                if let Some(underway) = self.underway() {
                    underway.turn_away(millis);
                }
                Some(millis)
            }
            _ => None,
        };
        let failure = FailureMeta {
            after_ms,
            chain: chain(error),
        };
        Outcome::with_meta(egress_code(error.kind()), failure.encode())
    }

    /// UUIDv5 of delivery, replay number and call number: every attempt of a delivery says the same, so that the
    /// other side can tell a repeat from a new call.
    fn idempotency_key(&self, method: &str) -> Option<String> {
        let underway = self.underway()?;
        if matches!(method, "GET" | "HEAD" | "OPTIONS") {
            return None;
        }
        let number = self.http_calls.fetch_add(1, Ordering::Relaxed);
        Some(underway.call_id(number).to_string())
    }
}
