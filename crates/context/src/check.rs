//! Checks of plugins, and how a plugin says it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coordinator_abi::SharedBytes;
use coordinator_abi::call::{FailureMeta, Finding as Found};
use coordinator_abi::code::op;
use coordinator_message::Timestamp;
use coordinator_wiring::{Finding, Severity};
use serde::Serialize;

use crate::plugin::Plugin;
use crate::port::{Port, Scope};

/// A check that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Findings of one check at most: a list that nobody reads says nothing.
const MAX_FINDINGS: usize = 100;

/// How a plugin said it is when it was last asked.
#[derive(Debug, Clone, Serialize)]
pub struct Wellness {
    /// Is it well?
    pub ok: bool,
    /// What it says instead, for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was asked.
    pub at: Timestamp,
}

/// Where the last answers are kept.
#[derive(Debug, Default)]
pub(crate) struct LastWellness {
    last: Mutex<Option<Wellness>>,
    findings: Mutex<Vec<Finding>>,
    /// Somebody is asking.
    asking: AtomicBool,
}

/// The right to ask a plugin how it is: one at a time, for one that blocks would be asked without end.
pub struct Look(Arc<Plugin>);

impl Look {
    /// Asks it. No answer in time is one too.
    pub async fn look(self) {
        // It has been stopped: what it would say is about nothing.
        let Some(_pass) = self.0.enter() else {
            return;
        };
        if tokio::time::timeout(TIMEOUT, self.0.health())
            .await
            .is_err()
        {
            let late = format!("it did not say within {} s how it is", TIMEOUT.as_secs());
            self.0.last_wellness().set(&Err(vec![late]));
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        let asking = &self.0.last_wellness().asking;
        asking.store(false, Ordering::Release);
    }
}

impl LastWellness {
    pub(crate) fn get(&self) -> Option<Wellness> {
        let last = self.last.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, answer: &Result<(), Vec<String>>) {
        let wellness = Wellness {
            ok: answer.is_ok(),
            detail: answer.as_ref().err().map(|chain| chain.join(": ")),
            at: Timestamp::now(),
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(wellness);
    }
}

impl Plugin {
    /// Begins to ask how it is; `None` while somebody else does.
    #[must_use]
    pub fn begin_look(self: &Arc<Self>) -> Option<Look> {
        let asking = &self.last_wellness().asking;
        (!asking.swap(true, Ordering::AcqRel)).then(|| Look(Arc::clone(self)))
    }

    /// Runs every check of it, one after the other, and answers all that they find: a check that fails is a finding too,
    /// and so are those that there was no time for.
    pub async fn check(&self, within: Duration) -> Vec<Finding> {
        let mut findings = Vec::new();
        let checks = self.manifest().checks.iter();
        let end = tokio::time::Instant::now() + within;
        for (index, check) in (0_u32..).zip(checks) {
            let subject = format!("{}.{}", self.name(), check.name);
            match tokio::time::timeout_at(end, self.check_one(index, &subject)).await {
                Ok(found) => findings.extend(found),
                Err(_) => {
                    let text = format!("the checks did not end within {} s", within.as_secs());
                    findings.push(failed(&subject, text));
                    break;
                }
            }
        }
        let last = self.last_wellness().findings.lock();
        last.unwrap_or_else(PoisonError::into_inner)
            .clone_from(&findings);
        findings
    }

    /// What its checks found when they were last run.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let last = self.last_wellness().findings.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn check_one(&self, index: u32, subject: &str) -> Vec<Finding> {
        let port = Port::new(Arc::clone(self.shared()), Scope::Idle, None);
        let call = self.call(
            op::CHECK,
            index,
            Arc::new(port),
            SharedBytes::new(),
            SharedBytes::new(),
        );
        let answer = match tokio::time::timeout(TIMEOUT, call).await {
            Ok(answer) if answer.is_ok() => answer,
            Ok(answer) => return vec![failed(subject, FailureMeta::of(&answer).chain.join(": "))],
            Err(_) => {
                let text = format!("it did not end within {} s", TIMEOUT.as_secs());
                return vec![failed(subject, text)];
            }
        };
        let found: Vec<Found> = match serde_json::from_slice(&answer.body) {
            Ok(found) => found,
            Err(error) => {
                return vec![failed(
                    subject,
                    format!("it did not answer findings: {error}"),
                )];
            }
        };
        let findings = found.into_iter().take(MAX_FINDINGS).map(|found| {
            let severity = match found.severity.as_str() {
                "warning" => Severity::Warning,
                "info" => Severity::Info,
                _ => Severity::Error,
            };
            let hint = found.hint.unwrap_or_default();
            finding(subject, &found.id, severity, found.message, hint)
        });
        findings.collect()
    }
}

fn finding(subject: &str, id: &str, severity: Severity, message: String, hint: String) -> Finding {
    Finding {
        id: id.to_owned().into(),
        severity,
        subject: subject.to_owned(),
        message,
        hint,
    }
}

/// About the check itself.
fn failed(subject: &str, text: String) -> Finding {
    let hint = "this is about the check itself: see the plugin's log".to_owned();
    finding(subject, "check-failed", Severity::Error, text, hint)
}
