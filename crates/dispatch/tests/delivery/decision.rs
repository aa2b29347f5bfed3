//! The retry decision, which is pure.

use std::sync::Arc;
use std::time::Duration;

use coordinator_context::{HandlerTerms, OnExhausted, Order, Reply};
use coordinator_dispatch::{Answer, BACKOFF_FLOOR, Ended, decide, poisonous};
use coordinator_journal::{Delivery, FailureKind, Token, Verdict};
use coordinator_message::{Envelope, MessageId, Timestamp};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Timestamp = Timestamp::from_millis(1_770_000_000_000);

fn terms() -> HandlerTerms {
    HandlerTerms {
        max_attempts: 5,
        max_crashes: 3,
        backoff_min: Duration::from_secs(2),
        backoff_max: Duration::from_secs(60),
        ..HandlerTerms::default()
    }
}

fn delivery(attempt: u32, crashes: u32) -> Delivery {
    let ty = "org.example.thing.happened.v1".parse().unwrap();
    let message = Envelope::new(MessageId::new(NOW), ty, "/test", NOW, "{}".into());
    let token = Token {
        shard: 0,
        handler: "test.handler".into(),
        position: 1,
        fence: 1,
    };
    Delivery {
        message: Arc::new(message),
        attempt,
        crashes,
        replay: 0,
        token,
    }
}

fn decided(delivery: &Delivery, answer: Answer, seed: u64) -> Verdict {
    let ended = Ended {
        answer,
        started: NOW,
        ran: Duration::from_millis(7),
    };
    decide(
        &terms(),
        delivery,
        ended,
        NOW,
        &mut StdRng::seed_from_u64(seed),
    )
}

fn busy(after: Option<Duration>) -> Answer {
    Answer::Replied(Reply::Retry {
        after,
        chain: vec!["busy".to_owned()],
    })
}

fn panicked() -> Answer {
    Answer::Replied(Reply::Panicked {
        chain: vec!["index out of bounds".to_owned()],
    })
}

fn backoff(verdict: &Verdict) -> Duration {
    match verdict {
        Verdict::Retry { due, .. } => due.since(NOW),
        other => panic!("expected a retry, got {other:?}"),
    }
}

fn death(verdict: &Verdict) -> FailureKind {
    match verdict {
        Verdict::Dead { failure } => failure.kind,
        other => panic!("expected a dead letter, got {other:?}"),
    }
}

proptest! {
    #[test]
    fn backoff_stays_between_the_floor_and_the_doubled_minimum(attempt in 1_u32..5, seed in any::<u64>()) {
        let longest = Duration::from_secs(2 * 2_u64.pow(attempt - 1)).min(Duration::from_secs(60));
        let backoff = backoff(&decided(&delivery(attempt, 0), busy(None), seed));
        prop_assert!((BACKOFF_FLOOR..=longest).contains(&backoff));
    }

    #[test]
    fn backoff_never_passes_its_maximum_whatever_the_attempt(attempt in 1_u32..u32::MAX, seed in any::<u64>()) {
        let terms = HandlerTerms { max_attempts: u32::MAX, ..terms() };
        let ended = Ended { answer: busy(None), started: NOW, ran: Duration::ZERO };
        let verdict = decide(&terms, &delivery(attempt, 0), ended, NOW, &mut StdRng::seed_from_u64(seed));
        prop_assert!(backoff(&verdict) <= Duration::from_secs(60));
    }
}

#[test]
fn jitter_is_full() {
    let rolled: Vec<_> = (0..1_000)
        .map(|seed| backoff(&decided(&delivery(4, 0), busy(None), seed)))
        .collect();
    let longest = Duration::from_secs(16);
    for quarter in 0..4 {
        let within = (longest / 4 * quarter)..=(longest / 4 * (quarter + 1));
        let share = rolled
            .iter()
            .filter(|backoff| within.contains(*backoff))
            .count();
        assert!((180..320).contains(&share), "{share} of 1000 in {within:?}");
    }
}

#[test]
fn retry_after_is_honoured_and_clamped() {
    let asked = |secs| busy(Some(Duration::from_secs(secs)));
    assert_eq!(
        backoff(&decided(&delivery(1, 0), asked(37), 1)),
        Duration::from_secs(37)
    );
    assert_eq!(
        backoff(&decided(&delivery(1, 0), asked(86_400), 1)),
        Duration::from_secs(60)
    );
    assert_eq!(
        backoff(&decided(&delivery(1, 0), asked(0), 1)),
        BACKOFF_FLOOR
    );
}

#[test]
fn a_refusal_is_a_dead_letter_at_once() {
    let refused = Answer::Replied(Reply::Dead {
        chain: vec!["no such course".to_owned()],
    });
    assert_eq!(
        death(&decided(&delivery(1, 0), refused, 1)),
        FailureKind::Refused
    );
}

#[test]
fn the_last_attempt_is_followed_by_none() {
    assert!(matches!(
        decided(&delivery(4, 0), busy(None), 1),
        Verdict::Retry { .. }
    ));
    let Verdict::Dead { failure } = decided(&delivery(5, 0), busy(None), 1) else {
        panic!("five attempts were allowed");
    };
    assert_eq!(failure.kind, FailureKind::Retry);
    assert_eq!(failure.chain, ["busy"]);
    assert_eq!((failure.started, failure.ran_ms), (NOW, 7));
}

#[test]
fn the_third_panic_is_the_last_and_other_failures_between_do_not_count() {
    assert!(matches!(
        decided(&delivery(2, 1), panicked(), 1),
        Verdict::Retry { .. }
    ));
    assert_eq!(
        death(&decided(&delivery(3, 2), panicked(), 1)),
        FailureKind::Panic
    );
    assert!(matches!(
        decided(&delivery(3, 2), busy(None), 1),
        Verdict::Retry { .. }
    ));
}

#[test]
fn what_three_nodes_did_not_survive_is_not_tried_a_fourth_time() {
    assert!(poisonous(&terms(), &delivery(3, 2)).is_none());
    let answer = poisonous(&terms(), &delivery(4, 3)).expect("it is not called");
    assert_eq!(
        death(&decided(&delivery(4, 3), answer, 1)),
        FailureKind::Poison
    );
    // A host that allows one panic does not blame all that ran when it was killed once.
    let strict = HandlerTerms {
        max_crashes: 1,
        ..terms()
    };
    assert!(poisonous(&strict, &delivery(3, 2)).is_none());
    assert!(poisonous(&strict, &delivery(4, 3)).is_some());
}

#[test]
fn a_timeout_is_retried_as_such() {
    let late = || Answer::TimedOut {
        chain: vec!["no answer".to_owned()],
    };
    match decided(&delivery(1, 0), late(), 1) {
        Verdict::Retry { failure, .. } => assert_eq!(failure.kind, FailureKind::Timeout),
        other => panic!("expected a retry, got {other:?}"),
    }
    assert_eq!(
        death(&decided(&delivery(5, 0), late(), 1)),
        FailureKind::Timeout
    );
}

#[test]
fn listed_waits_follow_each_other_and_the_last_is_repeated() {
    let seconds = |seconds: &[u64]| seconds.iter().copied().map(Duration::from_secs).collect();
    let terms = HandlerTerms {
        max_attempts: 100,
        backoff_min: Duration::from_secs(1),
        backoff_max: Duration::from_secs(300),
        backoff_waits: seconds(&[1, 10, 300]),
        ..terms()
    };
    for (attempt, wait) in [(1, 1), (2, 10), (3, 300), (4, 300), (99, 300)] {
        for seed in 0..50 {
            let ended = Ended {
                answer: busy(None),
                started: NOW,
                ran: Duration::ZERO,
            };
            let mut rng = StdRng::seed_from_u64(seed);
            let verdict = decide(&terms, &delivery(attempt, 0), ended, NOW, &mut rng);
            let wait = Duration::from_secs(wait);
            assert!((wait..=wait + wait / 10).contains(&backoff(&verdict)));
        }
    }
}

/// What becomes of a message with or without a key that is refused, of a handler with these terms.
fn refused(order: Order, on_exhausted: OnExhausted, key: Option<&str>) -> Verdict {
    let terms = HandlerTerms {
        order,
        on_exhausted,
        ..terms()
    };
    let mut delivery = delivery(1, 0);
    let mut message = Envelope::clone(&delivery.message);
    message.key = key.map(str::to_owned);
    delivery.message = Arc::new(message);
    let ended = Ended {
        answer: Answer::Replied(Reply::Dead {
            chain: vec!["no such course".to_owned()],
        }),
        started: NOW,
        ran: Duration::ZERO,
    };
    decide(&terms, &delivery, ended, NOW, &mut StdRng::seed_from_u64(1))
}

#[test]
fn with_order_the_terms_say_what_a_message_that_is_given_up_means_for_its_key() {
    let keyed = |on_exhausted| refused(Order::Key, on_exhausted, Some("order-7"));
    assert!(matches!(
        keyed(OnExhausted::DeadLetter),
        Verdict::Dead { .. }
    ));
    assert!(matches!(keyed(OnExhausted::HoldKey), Verdict::Park { .. }));
    assert!(matches!(
        keyed(OnExhausted::DeadLetterKey),
        Verdict::DeadKey { .. }
    ));
}

#[test]
fn without_order_or_key_a_message_that_is_given_up_is_a_dead_letter() {
    for end in [OnExhausted::HoldKey, OnExhausted::DeadLetterKey] {
        for verdict in [
            refused(Order::None, end, Some("order-7")),
            refused(Order::Key, end, None),
        ] {
            assert!(matches!(verdict, Verdict::Dead { .. }), "{verdict:?}");
        }
    }
}

#[test]
fn what_is_deferred_is_given_back_uncounted_even_at_the_last_attempt() {
    let deferred = |seed| {
        let answer = Answer::Replied(Reply::Deferred {
            after: Duration::from_secs(8),
            chain: vec!["the breaker of `https://lms.test` is open".to_owned()],
        });
        match decided(&delivery(5, 2), answer, seed) {
            Verdict::Release { due: Some(due) } => due.since(NOW),
            other => panic!("expected a release, got {other:?}"),
        }
    };
    for seed in 0..100 {
        assert!((Duration::from_secs(8)..=Duration::from_secs(10)).contains(&deferred(seed)));
    }
}

#[test]
fn an_ack_keeps_what_was_emitted() {
    let acked = Answer::Replied(Reply::Ack { emits: Vec::new() });
    assert!(
        matches!(decided(&delivery(5, 2), acked, 1), Verdict::Ack { emits } if emits.is_empty())
    );
}
