//! What a plugin asks its host for, and waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use coordinator_abi::ask::{MissingStep, RunMeta, RunReply};
use coordinator_abi::call::{RouteFailure, json};
use coordinator_abi::code::{ask, outcome};
use coordinator_abi::host::unsupported;
use coordinator_abi::{Code, Outcome, RawFuture, SharedBytes};

use super::{Port, refused};
use crate::pipeline::{Answered, RunError, RunFor};

impl Port {
    pub(super) fn asked(
        self: Arc<Self>,
        what: Code,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> RawFuture {
        match what {
            ask::RUN => {
                let port = Arc::clone(&self);
                self.on_host(async move { port.run(&meta, body).await })
            }
            ask::SETTINGS => RawFuture::ready(Outcome {
                body: self.shared.settings.clone(),
                ..Outcome::ok()
            }),
            ask::CACHE_GET
            | ask::CACHE_SET
            | ask::CACHE_DELETE
            | ask::CACHE_ADD
            | ask::CACHE_INCR
            | ask::LOCK_ACQUIRE
            | ask::LOCK_EXTEND
            | ask::LOCK_RELEASE
            | ask::ONCE => {
                let port = Arc::clone(&self);
                self.on_host(port.keyed(what, meta, body))
            }
            other => RawFuture::ready(unsupported(other)),
        }
    }

    async fn run(&self, meta: &[u8], input: SharedBytes) -> Outcome {
        let meta = match RunMeta::decode(meta) {
            Ok(meta) => meta,
            Err(malformed) => return refused(outcome::REJECTED, malformed.to_string()),
        };
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let run_for = RunFor {
            trace: self.trace,
            depth: self.depth + 1,
            delivery: self.underway().map(|underway| underway.running(number)),
        };
        let pipelines = &self.shared.services.pipelines;
        let ran = pipelines.run(&meta.pipeline, input.into_bytes(), run_for);
        match ran.await.result {
            Ok(answered) => answer(answered),
            Err(error) => failure(error),
        }
    }
}

fn answer(answered: Answered) -> Outcome {
    let missing = answered.missing.into_iter().map(|missing| MissingStep {
        step: missing.step.to_string(),
        reason: missing.reason,
    });
    let missing: Vec<_> = missing.collect();
    Outcome {
        code: outcome::OK,
        meta: if missing.is_empty() {
            SharedBytes::new()
        } else {
            json(&RunReply { missing })
        },
        body: answered.value.into(),
    }
}

fn failure(error: RunError) -> Outcome {
    let code = match error {
        RunError::Unknown(_) | RunError::TooDeep(_) => outcome::REJECTED,
        _ => outcome::FAILED,
    };
    let failed = error.into_failed();
    let failure = RouteFailure {
        status: failed.status,
        code: failed.code,
        detail: failed.detail,
        after_ms: failed
            .after
            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        chain: failed.chain,
    };
    Outcome::with_meta(code, json(&failure))
}
