//! What operators do with messages and handlers, in the audit log: what is asked for before it is done, and what came of
//! it in a second entry. Where the log cannot be written nothing is done.
//!
//! One entry afterwards would be lost with a host that dies in between: something was done, and nobody would know who
//! did it.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::Problem;
use crate::operator::{By, Operation, Operator, Record};
use crate::state::State;

/// What is to be done, as the audit log says it.
pub(super) struct Act {
    /// Such as `handler.pause`. What came of it is `handler.pause.done`, or `.failed`.
    pub(super) action: &'static str,
    /// A message or a handler; of many, what they are.
    pub(super) subject: String,
    /// What was chosen. Never with anything of a payload in it.
    pub(super) detail: Value,
}

/// Writes `act` down, does it, and writes down what came of it: all of it to its end, also if the caller hangs up.
pub(super) async fn recorded(
    state: &State,
    by: By,
    act: Act,
    work: impl Future<Output = Result<Value, Problem>> + Send + 'static,
) -> Result<Value, Problem> {
    let operator = Arc::clone(&state.operator);
    let doing = tokio::spawn(async move {
        let entry = begin(&operator, &by, &act).await?;
        let done = work.await;
        end(&operator, by, &act, &entry, &done).await;
        done
    });
    doing.await.unwrap_or_else(|_| Err(Problem::internal()))
}

/// Answers the number of the entry.
async fn begin(operator: &Arc<dyn Operator>, by: &By, act: &Act) -> Result<Value, Problem> {
    let record = Record {
        action: act.action.to_owned(),
        subject: act.subject.clone(),
        detail: act.detail.clone(),
    };
    let writing = Arc::clone(operator).operate(by.clone(), Operation::Record(record));
    match writing.await {
        Ok(mut answer) => Ok(answer.body["sequence"].take()),
        Err(refused) if refused.status() == StatusCode::SERVICE_UNAVAILABLE => {
            let detail = "nothing was done: it could not be written into the audit log, for the database cannot be used now";
            Err(refused.saying(detail))
        }
        Err(refused) => Err(refused),
    }
}

async fn end(
    operator: &Arc<dyn Operator>,
    by: By,
    act: &Act,
    entry: &Value,
    done: &Result<Value, Problem>,
) {
    let (verb, mut detail) = match done {
        Ok(done) => ("done", done.clone()),
        Err(problem) => {
            let why = json!({"problem": problem.to_string(), "detail": problem.detail()});
            ("failed", why)
        }
    };
    detail["entry"] = entry.clone();
    let action = format!("{}.{verb}", act.action);
    let record = Record {
        action: action.clone(),
        subject: act.subject.clone(),
        detail,
    };
    let writing = Arc::clone(operator).operate(by, Operation::Record(record));
    if let Err(error) = writing.await {
        // That it was begun is in there, and what came of it is in this log.
        tracing::warn!(
            audit.entry = %entry, error = %error,
            "`{action}` of `{}` could not be written into the audit log", act.subject
        );
    }
}
