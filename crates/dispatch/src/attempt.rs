//! One attempt: call the handler, decide, say so, hand the verdict to the settle front.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_context::Reply;
use coordinator_journal::{Clock, Delivery, Failure, Settle, Verdict};
use coordinator_message::Timestamp;
use tracing::{debug, error, warn};

use crate::breaker::Tried;
use crate::call::call;
use crate::handler::Handler;
use crate::settling::SettleFront;
use crate::{Answer, Attempted, Ended, Observer, Outcome, Redact, chain, decide, poisonous};

/// A delivery for a plugin that has been stopped is asked for again after this time.
const STOPPED: Duration = Duration::from_secs(1);

/// What every attempt needs of its dispatcher.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redact: Redact,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) settles: SettleFront,
}

/// Runs one attempt to its end. Returns when the verdict is in the settle front, which bounds how many wait there.
pub(crate) async fn attempt(
    handler: Arc<Handler>,
    delivery: Delivery,
    probe: bool,
    around: Arc<Surroundings>,
) {
    let started = around.clock.now();
    let begun = Instant::now();
    // One generation from here to the decision, whatever is swapped meanwhile.
    let held = handler.hold();
    let bound = held
        .as_ref()
        .map_or_else(|| handler.bound(), |held| Arc::clone(&held.bound));
    let answer = match poisonous(&bound.terms, &delivery) {
        Some(answer) => answer,
        None if held.is_none() => stopped(),
        None => call(&handler, &bound, &delivery, &around.observer).await,
    };
    drop(held);
    let (name, id) = (handler.id(), delivery.message.id);
    let tried = tried(&answer);
    handler
        .guard
        .ended(name, probe, tried, id, &*around.observer);
    let ended = Ended {
        answer: tidied(answer, &around.redact),
        started,
        ran: begun.elapsed(),
    };
    let ran = ended.ran;
    let now = around.clock.now();
    let verdict = decide(&bound.terms, &delivery, ended, now, &mut rand::rng());
    report(&handler, &delivery, &verdict, ran, now);
    around.observer.attempted(&Attempted {
        handler: handler.id(),
        ty: &delivery.message.ty,
        outcome: outcome(&verdict),
        ran,
    });
    let places = Arc::clone(&handler.unsettled);
    let Ok(place) = places.acquire_owned().await else {
        // Nobody closes it.
        return;
    };
    let settle = Settle {
        token: delivery.token,
        verdict,
    };
    around.settles.send(settle, place).await;
}

/// The plugin has ended, and nothing has taken its place: this was no attempt.
fn stopped() -> Answer {
    Answer::Replied(Reply::Deferred {
        after: STOPPED,
        chain: vec!["the plugin has been stopped".to_owned()],
    })
}

/// What an answer says of the handler, for its breaker.
fn tried(answer: &Answer) -> Tried {
    match answer {
        Answer::Replied(Reply::Ack { .. }) => Tried::Succeeded,
        Answer::Replied(Reply::Retry { .. }) | Answer::TimedOut { .. } => Tried::Failed,
        Answer::Replied(Reply::Panicked { .. }) => Tried::Panicked,
        Answer::Replied(Reply::Deferred { after, .. }) => Tried::Deferred(*after),
        Answer::Replied(Reply::Dead { .. }) | Answer::NotCalled { .. } => Tried::Neither,
    }
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
        not_called @ Answer::NotCalled { .. } => not_called,
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
            let (outcome, end) = end(verdict);
            error!(
                outcome,
                ran_ms,
                error.type = kind(failure),
                error = first(failure),
                error.chain = ?failure.chain,
                "handler `{name}` gave up on `{id}` after attempt {}: {end}",
                delivery.attempt,
            );
        }
    }
}

/// What becomes of a delivery that is given up.
fn end(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Park { .. } => (
            "parked",
            "parked, and its ordering key waits until it is replayed or discarded",
        ),
        Verdict::DeadKey { .. } => (
            "dead",
            "dead letter, with what waits behind it for its ordering key",
        ),
        _ => ("dead", "dead letter"),
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
