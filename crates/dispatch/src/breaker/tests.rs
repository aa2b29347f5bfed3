//! A breaker through its states, with a clock of numbers.

use coordinator_message::Timestamp;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn terms() -> BreakerTerms {
    BreakerTerms {
        failures: 5,
        messages: 3,
        panics: 2,
        open_min: SECOND,
        open_max: 4 * SECOND,
    }
}

fn messages(count: usize) -> Vec<MessageId> {
    (0..count)
        .map(|_| MessageId::new(Timestamp::from_millis(1_770_000_000_000)))
        .collect()
}

/// A breaker that opened at `now`, with a jitter that leaves its times as they are.
fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(terms());
    for id in messages(5) {
        breaker.ended(false, Tried::Failed, id, now, 0.5);
    }
    assert_eq!(breaker.gate(now), Gate::Wait(Some(now + SECOND)));
    breaker
}

fn probe(breaker: &mut Breaker, tried: Tried, now: Instant) -> Option<Change> {
    assert!(breaker.begin(now), "a probe was due");
    breaker.ended(true, tried, messages(1)[0], now, 0.5)
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let (now, ids) = (Instant::now(), messages(9));
    let mut breaker = Breaker::new(terms());
    for (number, id) in ids.iter().enumerate() {
        let tried = if number == 4 {
            Tried::Succeeded
        } else {
            Tried::Failed
        };
        assert_eq!(breaker.ended(false, tried, *id, now, 0.5), None);
    }
    let change = breaker.ended(false, Tried::Failed, ids[0], now, 0.5);
    let (until, why) = (now + SECOND, Why::Failures(5));
    assert_eq!(change, Some(Change::Opened { until, why }));
}

#[test]
fn one_message_that_always_fails_does_not_open_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(terms());
    let two = messages(2);
    for id in two.iter().cycle().take(100) {
        assert_eq!(breaker.ended(false, Tried::Failed, *id, now, 0.5), None);
    }
    assert_eq!(breaker.gate(now), Gate::Pass);
}

#[test]
fn refusals_neither_open_it_nor_interrupt_the_row() {
    let (now, ids) = (Instant::now(), messages(40));
    let mut breaker = Breaker::new(terms());
    for id in &ids {
        assert_eq!(breaker.ended(false, Tried::Neither, *id, now, 0.5), None);
    }
    for id in &ids[..4] {
        breaker.ended(false, Tried::Failed, *id, now, 0.5);
        breaker.ended(false, Tried::Neither, *id, now, 0.5);
    }
    assert!(
        breaker
            .ended(false, Tried::Failed, ids[4], now, 0.5)
            .is_some()
    );
}

#[test]
fn panics_on_distinct_messages_in_a_row_open_it() {
    let (now, ids) = (Instant::now(), messages(2));
    let mut breaker = Breaker::new(terms());
    for _ in 0..3 {
        let again = breaker.ended(false, Tried::Panicked, ids[0], now, 0.5);
        assert_eq!(again, None, "it is one message");
    }
    breaker.ended(false, Tried::Failed, ids[1], now, 0.5);
    let mut breaker = Breaker::new(terms());
    breaker.ended(false, Tried::Panicked, ids[0], now, 0.5);
    let change = breaker.ended(false, Tried::Panicked, ids[1], now, 0.5);
    let (until, why) = (now + SECOND, Why::Panics(2));
    assert_eq!(change, Some(Change::Opened { until, why }));
}

#[test]
fn it_lets_one_probe_through_when_its_time_is_over() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + SECOND;
    assert_eq!(
        breaker.gate(later - Duration::from_millis(1)),
        Gate::Wait(Some(later))
    );
    assert_eq!(breaker.gate(later), Gate::Probe);
    assert!(breaker.begin(later));
    assert_eq!(breaker.gate(later), Gate::Wait(None));
    let change = breaker.ended(true, Tried::Succeeded, messages(1)[0], later, 0.5);
    assert_eq!(change, Some(Change::Closed));
    assert_eq!(breaker.gate(later), Gate::Pass);
    assert!(!breaker.begin(later), "closed again: no probe");
}

#[test]
fn each_probe_that_fails_doubles_its_time_up_to_the_longest() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    for seconds in [2, 4, 4, 4] {
        now += 4 * SECOND;
        let (until, why) = (now + seconds * SECOND, Why::Probe);
        let change = probe(&mut breaker, Tried::Failed, now);
        assert_eq!(change, Some(Change::Opened { until, why }));
    }
    now += 4 * SECOND;
    assert_eq!(
        probe(&mut breaker, Tried::Succeeded, now),
        Some(Change::Closed)
    );
    for id in messages(5) {
        breaker.ended(false, Tried::Failed, id, now, 0.5);
    }
    assert_eq!(breaker.gate(now), Gate::Wait(Some(now + SECOND)));
}

#[test]
fn a_probe_that_says_nothing_is_followed_by_another_at_once() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + SECOND;
    assert_eq!(probe(&mut breaker, Tried::Neither, later), None);
    assert_eq!(breaker.gate(later), Gate::Probe);
}

#[test]
fn what_began_before_it_opened_changes_nothing() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let id = messages(1)[0];
    for tried in [Tried::Succeeded, Tried::Failed, Tried::Panicked] {
        assert_eq!(breaker.ended(false, tried, id, now, 0.5), None);
    }
    assert_eq!(breaker.gate(now), Gate::Wait(Some(now + SECOND)));
}

#[test]
fn its_time_is_jittered_by_a_quarter() {
    let now = Instant::now();
    for (jitter, millis) in [(0.0, 750), (0.5, 1_000), (1.0, 1_250), (7.0, 1_250)] {
        let mut breaker = Breaker::new(terms());
        for id in messages(5) {
            breaker.ended(false, Tried::Failed, id, now, jitter);
        }
        let until = now + Duration::from_millis(millis);
        assert_eq!(breaker.gate(now), Gate::Wait(Some(until)));
    }
}

#[test]
fn deferred_attempts_in_a_row_open_it_until_what_is_called_may_answer() {
    let (now, ids) = (Instant::now(), messages(6));
    let mut breaker = Breaker::new(terms());
    let deferred = Tried::Deferred(SECOND / 2);
    for id in &ids[..4] {
        assert_eq!(breaker.ended(false, deferred, *id, now, 0.5), None);
    }
    let change = breaker.ended(false, deferred, ids[4], now, 0.5);
    let (until, why) = (now + SECOND / 2, Why::Deferred(5));
    assert_eq!(change, Some(Change::Opened { until, why }));
    let later = now + SECOND;
    assert_eq!(probe(&mut breaker, deferred, later), None);
    assert_eq!(breaker.gate(later), Gate::Wait(Some(later + SECOND / 2)));
    let change = probe(&mut breaker, Tried::Failed, later + SECOND);
    let (until, why) = (later + 2 * SECOND, Why::Probe);
    assert_eq!(change, Some(Change::Opened { until, why }), "not doubled");
}
