//! One attempt: call the handler, decide, say so, hand the verdict to the settle front.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_context::Reply;
use coordinator_journal::{Clock, Delivery, Failure, Settle, Verdict};
use coordinator_message::Timestamp;
use tracing::{debug, error, warn};

use crate::call::call;
use crate::handler::Handler;
use crate::settling::SettleFront;
use crate::{Answer, Attempted, Ended, Observer, Outcome, Redact, chain, decide};

/// What every attempt needs of its dispatcher.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redact: Redact,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) settles: SettleFront,
}

/// Runs one attempt to its end. Returns when the verdict is in the settle front, which bounds how many wait there.
pub(crate) async fn attempt(handler: Arc<Handler>, delivery: Delivery, around: Arc<Surroundings>) {
    let started = around.clock.now();
    let begun = Instant::now();
    let answer = call(&handler, &delivery, &around.observer).await;
    let ended = Ended {
        answer: tidied(answer, &around.redact),
        started,
        ran: begun.elapsed(),
    };
    let ran = ended.ran;
    let now = around.clock.now();
    let verdict = decide(&handler.terms, &delivery, ended, now, &mut rand::rng());
    report(&handler, &delivery, &verdict, ran, now);
    around.observer.attempted(&Attempted {
        handler: handler.id(),
        ty: &delivery.message.ty,
        outcome: outcome(&verdict),
        ran,
    });
    around
        .settles
        .send(Settle {
            token: delivery.token,
            verdict,
        })
        .await;
}

fn tidied(answer: Answer, redact: &Redact) -> Answer {
    let tidy = |chain| chain::tidy(chain, &**redact);
    match answer {
        Answer::Replied(Reply::Ack { emits }) => Answer::Replied(Reply::Ack { emits }),
        Answer::Replied(Reply::Retry { after, chain }) => Answer::Replied(Reply::Retry {
            after,
            chain: tidy(chain),
        }),
        Answer::Replied(Reply::Deferred { after, chain }) => Answer::Replied(Reply::Deferred {
            after,
            chain: tidy(chain),
        }),
        Answer::Replied(Reply::Dead { chain }) => {
            Answer::Replied(Reply::Dead { chain: tidy(chain) })
        }
        Answer::Replied(Reply::Panicked { chain }) => {
            Answer::Replied(Reply::Panicked { chain: tidy(chain) })
        }
        Answer::TimedOut { chain } => Answer::TimedOut { chain: tidy(chain) },
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Ack { .. } => Outcome::Acked,
        Verdict::Retry { failure, .. } => Outcome::Retried(failure.kind),
        Verdict::Release { .. } => Outcome::Released,
        Verdict::Park { failure } => Outcome::Parked(failure.kind),
        Verdict::Dead { failure } | Verdict::DeadKey { failure } => Outcome::Dead(failure.kind),
    }
}

/// One line per outcome. The span `deliver` holds the fields that name the delivery.
fn report(
    handler: &Handler,
    delivery: &Delivery,
    verdict: &Verdict,
    ran: Duration,
    now: Timestamp,
) {
    let (name, id) = (handler.id(), delivery.message.id);
    let ran_ms = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
    match verdict {
        Verdict::Ack { emits } => {
            debug!(
                outcome = "acked",
                ran_ms,
                emits = emits.len(),
                "handler `{name}` acked `{id}`"
            );
        }
        Verdict::Retry { due, failure } => {
            let backoff_ms = u64::try_from(due.since(now).as_millis()).unwrap_or(u64::MAX);
            warn!(
                outcome = "retried",
                ran_ms,
                backoff_ms,
                error.type = kind(failure),
                error = first(failure),
                error.chain = ?failure.chain,
                "handler `{name}` failed on `{id}` (attempt {}), next attempt in {backoff_ms} ms",
                delivery.attempt,
            );
        }
        Verdict::Release { .. } => {
            debug!(outcome = "released", "handler `{name}` gives `{id}` back")
        }
        Verdict::Dead { failure } | Verdict::DeadKey { failure } | Verdict::Park { failure } => {
            error!(
                outcome = "dead",
                ran_ms,
                error.type = kind(failure),
                error = first(failure),
                error.chain = ?failure.chain,
                "handler `{name}` gave up on `{id}` after attempt {}: dead letter",
                delivery.attempt,
            );
        }
    }
}

fn first(failure: &Failure) -> &str {
    failure.chain.first().map_or("", String::as_str)
}

fn kind(failure: &Failure) -> &'static str {
    use coordinator_journal::FailureKind::{
        Blocked, Discarded, Expired, Panic, Poison, Refused, Retry, Timeout,
    };
    match failure.kind {
        Retry => "retry",
        Refused => "refused",
        Panic => "panic",
        Timeout => "timeout",
        Expired => "expired",
        Poison => "poison",
        Blocked => "blocked",
        Discarded => "discarded",
    }
}
