//! The retry decision: what becomes of an attempt. Pure; clock and randomness come in.

use std::time::Duration;

use coordinator_context::{HandlerTerms, OnExhausted, Order, Reply};
use coordinator_journal::{Delivery, Failure, FailureKind, Verdict};
use coordinator_message::Timestamp;
use rand::{Rng, RngExt};

/// No retry is sooner than this, unless the handler's own longest backoff is shorter: full jitter may roll a zero,
/// and a zero is a hot loop.
pub const BACKOFF_FLOOR: Duration = Duration::from_millis(100);

/// How an attempt ended.
#[derive(Debug)]
pub enum Answer {
    /// The handler answered.
    Replied(Reply),
    /// It was not called: see [`poisonous`].
    NotCalled {
        /// Why.
        chain: Vec<String>,
    },
    /// It did not answer in time.
    TimedOut {
        /// What it did instead.
        chain: Vec<String>,
    },
}

/// An attempt that ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub answer: Answer,
    /// When it began.
    pub started: Timestamp,
    /// How long it ran.
    pub ran: Duration,
}

/// Decides what the journal is to remember of this attempt of `delivery`.
///
/// An ack is an ack, a refusal is a dead letter at once, and what was deferred is given back uncounted. Everything else is retried until `terms.max_attempts`
/// attempts were made, or `terms.max_crashes` of them panicked: such a message may take the host down next time.
/// What is given up is a dead letter, unless the handler keeps order and its terms say what that means for the key.
/// The backoff is exponential with full jitter, or from a list; the other side's `Retry-After` goes before it, clamped to
/// `terms.backoff_max`.
pub fn decide<R: Rng + ?Sized>(
    terms: &HandlerTerms,
    delivery: &Delivery,
    ended: Ended,
    now: Timestamp,
    rng: &mut R,
) -> Verdict {
    let (kind, chain, after) = match ended.answer {
        Answer::Replied(Reply::Ack { emits }) => return Verdict::Ack { emits },
        Answer::Replied(Reply::Deferred { after, .. }) => {
            return Verdict::Release {
                due: Some(now.after(spread(after, rng))),
            };
        }
        Answer::Replied(Reply::Retry { after, chain }) => (FailureKind::Retry, chain, after),
        Answer::Replied(Reply::Dead { chain }) => (FailureKind::Refused, chain, None),
        Answer::Replied(Reply::Panicked { chain }) => (FailureKind::Panic, chain, None),
        Answer::TimedOut { chain } => (FailureKind::Timeout, chain, None),
        Answer::NotCalled { chain } => (FailureKind::Poison, chain, None),
    };
    let failure = Failure {
        kind,
        chain,
        started: ended.started,
        ran_ms: u64::try_from(ended.ran.as_millis()).unwrap_or(u64::MAX),
    };
    let crashed_out =
        kind == FailureKind::Panic && delivery.crashes.saturating_add(1) >= terms.max_crashes;
    let for_good = matches!(kind, FailureKind::Refused | FailureKind::Poison) || crashed_out;
    if for_good || delivery.attempt >= terms.max_attempts {
        return given_up(terms, delivery, failure);
    }
    let backoff = match after {
        Some(asked) => asked.max(BACKOFF_FLOOR).min(terms.backoff_max),
        None if terms.backoff_waits.is_empty() => doubled(terms, delivery.attempt, rng),
        None => listed(&terms.backoff_waits, delivery.attempt, rng),
    };
    Verdict::Retry {
        due: now.after(backoff),
        failure,
    }
}

/// So many deaths at least: one process dies with all that it runs, and who is to blame is known at the third only.
const DEATHS: u32 = 3;

/// A delivery that as many nodes did not survive as may panic: it may be what killed them, and is not tried again.
#[must_use]
pub fn poisonous(terms: &HandlerTerms, delivery: &Delivery) -> Option<Answer> {
    let crashes = delivery.crashes;
    (crashes >= terms.max_crashes.max(DEATHS)).then(|| Answer::NotCalled {
        chain: vec![format!(
            "not tried again: {crashes} attempts panicked, or ended with the node that made them"
        )],
    })
}

/// A delivery that is not tried again.
fn given_up(terms: &HandlerTerms, delivery: &Delivery, failure: Failure) -> Verdict {
    let ordered = terms.order == Order::Key && delivery.message.key.is_some();
    match terms.on_exhausted {
        OnExhausted::HoldKey if ordered => Verdict::Park { failure },
        OnExhausted::DeadLetterKey if ordered => Verdict::DeadKey { failure },
        _ => Verdict::Dead { failure },
    }
}

/// The wait of this attempt, of which the last is repeated, and up to a tenth of it more.
fn listed<R: Rng + ?Sized>(waits: &[Duration], attempt: u32, rng: &mut R) -> Duration {
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = waits.get(index).or(waits.last()).copied();
    let wait = wait.unwrap_or_default().max(BACKOFF_FLOOR);
    let tenth = u64::try_from(wait.as_millis() / 10).unwrap_or(u64::MAX);
    wait.saturating_add(Duration::from_millis(rng.random_range(0..=tenth)))
}

/// `after`, and up to a quarter of it more: what waits for one breaker must not come back in one instant.
fn spread<R: Rng + ?Sized>(after: Duration, rng: &mut R) -> Duration {
    let after = after.max(BACKOFF_FLOOR);
    let quarter = u64::try_from(after.as_millis() / 4).unwrap_or(u64::MAX);
    after.saturating_add(Duration::from_millis(rng.random_range(0..=quarter)))
}

/// Uniform between zero and `min(backoff_max, backoff_min * 2^(attempt - 1))`, but not below [`BACKOFF_FLOOR`].
/// ("Full jitter" of <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.)
fn doubled<R: Rng + ?Sized>(terms: &HandlerTerms, attempt: u32, rng: &mut R) -> Duration {
    let doublings = attempt.saturating_sub(1);
    let longest = terms
        .backoff_min
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(terms.backoff_max);
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    let rolled = Duration::from_millis(rng.random_range(0..=millis));
    rolled.max(BACKOFF_FLOOR.min(longest))
}
