//! Running a pipeline, and having its answer.

use std::time::Duration;

use coordinator_abi::ask::{RunMeta, RunReply};
use coordinator_abi::call::RouteFailure;
use coordinator_abi::code::{ask, outcome};
use coordinator_abi::{Lent, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::DecodeError;

/// What a pipeline answered.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
/// use coordinator_sdk::Ran;
///
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// # #[plugin] impl Shop {
/// /// How many orders there are, as far as it is known.
/// #[route(get, "/orders", auth = public)]
/// async fn orders(&self, ctx: &Context) -> Result<Response, RouteError> {
///     let ran: Ran<Vec<String>> = ctx.run_stated("org.example.order.history.v1", "ada").await?;
///     let mut text = format!("{} orders", ran.value.len());
///     for missing in &ran.missing {
///         text.push_str(&format!(", without `{}`", missing.step));
///     }
///     Ok(Response::text(200, text))
/// }
/// # }
/// let host = Host::<Shop>::new(serde_json::json!({}));
/// host.pipeline_without("org.example.order.history.v1", &["A-1"], &["legacy.orders"]);
/// assert_eq!(host.call(Call::get("/orders")).body, b"1 orders, without `legacy.orders`");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ran<T> {
    /// Its value.
    pub value: T,
    /// Steps of parallel groups whose part is missing from the value; only where the operator allows that.
    pub missing: Vec<Missing>,
}

/// A step whose part is missing from a pipeline's value.
///
/// ```
/// use coordinator_sdk::{Missing, Ran};
///
/// /// What the learner is told.
/// fn note(ran: &Ran<Vec<String>>) -> Option<String> {
///     let Missing { step, reason } = ran.missing.first()?;
///     tracing::warn!(step, reason, "the list is not whole");
///     Some("some of your orders cannot be shown now".to_owned())
/// }
/// # use coordinator_sdk::prelude::tracing;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// `instance.step`.
    pub step: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// A pipeline did not answer. `?` in a route or a step tells the caller what the failed step says; in a handler it asks
/// for another attempt, unless the step refused the input.
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// The price, or none where the shop is not told it.
/// async fn price(ctx: &Context, basket: &str) -> Result<Option<Money>, RouteError> {
///     match ctx.run("org.example.basket.price.v1", basket).await {
///         Err(error) if error.code() == "no-such-pipeline" => Ok(None),
///         Err(error) if error.is_temporary() => {
///             tracing::info!(status = error.status(), after = ?error.retry_after(), "no price now");
///             Ok(None)
///         }
///         answer => Ok(Some(answer?)),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("pipeline `{pipeline}` failed: {reason}")]
pub struct RunError {
    pipeline: String,
    reason: String,
    failure: RouteFailure,
    #[source]
    source: Option<DecodeError>,
}

impl RunError {
    /// HTTP status that fits it.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.failure.status
    }

    /// Stable code, such as `no-such-pipeline`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.failure.code
    }

    /// May the same run succeed later?
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        !(400..500).contains(&self.failure.status)
    }

    /// Not before.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.after_ms.map(Duration::from_millis)
    }

    pub(crate) fn failure(&self) -> &RouteFailure {
        &self.failure
    }

    fn of(pipeline: &str, answer: &Outcome) -> Self {
        let mut failure: RouteFailure = serde_json::from_slice(&answer.meta).unwrap_or_default();
        if failure.chain.is_empty() {
            let told = if failure.detail.is_empty() {
                format!("the host answered with code {}", answer.code.0)
            } else {
                failure.detail.clone()
            };
            failure.chain.push(told);
        }
        if failure.status == 0 {
            failure.status = match answer.code {
                outcome::UNAVAILABLE | outcome::OPEN | outcome::FULL => 503,
                outcome::TIMEOUT => 504,
                outcome::REJECTED => 422,
                _ => 500,
            };
        }
        if failure.code.is_empty() {
            "pipeline-failed".clone_into(&mut failure.code);
        }
        Self {
            pipeline: pipeline.to_owned(),
            reason: failure.chain.join(": "),
            failure,
            source: None,
        }
    }

    fn undecodable(pipeline: &str, what: &str, error: &serde_json::Error) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            reason: format!("{what} does not fit"),
            failure: RouteFailure {
                status: 500,
                code: "internal".to_owned(),
                ..RouteFailure::default()
            },
            source: Some(DecodeError::new(what, error)),
        }
    }
}

pub(crate) async fn run<I: Serialize + ?Sized, T: DeserializeOwned>(
    lent: &Lent,
    pipeline: &str,
    input: &I,
) -> Result<Ran<T>, RunError> {
    let meta = RunMeta {
        pipeline: pipeline.to_owned(),
    };
    let input = serde_json::to_vec(input)
        .map_err(|error| RunError::undecodable(pipeline, "its input", &error))?;
    let answer = lent.ask(ask::RUN, meta.encode(), input.into()).await;
    if !answer.is_ok() {
        return Err(RunError::of(pipeline, &answer));
    }
    let value = serde_json::from_slice(&answer.body)
        .map_err(|error| RunError::undecodable(pipeline, "its value", &error))?;
    let reply: RunReply = serde_json::from_slice(&answer.meta).unwrap_or_default();
    let missing = reply.missing.into_iter().map(|missing| Missing {
        step: missing.step,
        reason: missing.reason,
    });
    Ok(Ran {
        value,
        missing: missing.collect(),
    })
}
