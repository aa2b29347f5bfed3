//! When a schedule ticks: over changes of the clock, over months and leap years.

use coordinator_dispatch::{Cadence, CadenceError, Ticks};

use crate::at;

fn cadence(cron: &str, zone: &str) -> Cadence {
    Cadence::new(cron, zone, at("2026-01-01T00:00:00Z")).expect("a cadence")
}

/// The ticks after `from`, in UTC.
fn next(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cadence = cadence(cron, zone);
    let ticks = std::iter::successors(cadence.next_after(at(from)), |last| {
        cadence.next_after(*last)
    });
    ticks.take(count).map(|tick| tick.to_string()).collect()
}

#[test]
fn a_daily_tick_keeps_its_hour_on_the_wall_over_the_year() {
    assert_eq!(
        next("0 3 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
        [
            "2026-03-28T02:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T01:00:00Z"
        ]
    );
    assert_eq!(
        next("0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]
    );
}

#[test]
fn an_hour_that_the_clock_skips_is_made_up_for_once_right_after_it() {
    // In Berlin 02:00 to 03:00 does not exist on that day.
    for cron in ["30 2 * * *", "15,45 2 * * *"] {
        let ticks = next(cron, "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(ticks[0], "2026-03-29T01:00:00Z", "{cron}");
        assert!(ticks[1].starts_with("2026-03-30T00:"), "{cron}: {ticks:?}");
    }
    assert_eq!(
        next("0 2-4 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 3),
        [
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
            "2026-03-30T00:00:00Z"
        ],
        "02:00 and 03:00 are one moment"
    );
    assert_eq!(
        next("30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", 2),
        ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
    );
}

#[test]
fn an_hour_that_the_clock_repeats_counts_once() {
    // In Berlin 02:00 to 03:00 happens twice on that day.
    assert_eq!(
        next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    let twice = "0,30 2,3 * * *";
    assert_eq!(
        next(twice, "Europe/Berlin", "2026-10-24T12:00:00Z", 5),
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-10-25T02:30:00Z",
            "2026-10-26T01:00:00Z"
        ]
    );
    // Begun in the second pass.
    assert_eq!(
        next(twice, "Europe/Berlin", "2026-10-25T01:10:00Z", 1),
        ["2026-10-25T02:00:00Z"]
    );
}

#[test]
fn what_ticks_every_few_minutes_goes_on_through_both() {
    let spring = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4);
    assert_eq!(
        spring,
        [
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-29T02:00:00Z"
        ]
    );
    let autumn = next("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 5);
    assert_eq!(
        autumn,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z"
        ]
    );
}

#[test]
fn months_end_when_they_end() {
    assert_eq!(
        next("0 0 31 * *", "UTC", "2026-01-31T12:00:00Z", 3),
        [
            "2026-03-31T00:00:00Z",
            "2026-05-31T00:00:00Z",
            "2026-07-31T00:00:00Z"
        ]
    );
    assert_eq!(
        next("0 0 L * *", "UTC", "2026-01-31T12:00:00Z", 2),
        ["2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"]
    );
    assert_eq!(
        next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2),
        ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
    );
    assert_eq!(
        next("59 23 31 12 *", "UTC", "2026-12-31T23:59:00Z", 1),
        ["2027-12-31T23:59:00Z"]
    );
}

#[test]
fn seconds_may_come_first_and_parts_of_a_second_do_not_matter() {
    assert_eq!(
        next("*/20 * * * * *", "UTC", "2026-01-01T00:00:19.999Z", 2),
        ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]
    );
    assert_eq!(
        next("0 3 * * *", "UTC", "2026-01-01T03:00:00.500Z", 1),
        ["2026-01-02T03:00:00Z"]
    );
    assert_eq!(
        next("0 3 * * *", "UTC", "2026-01-01T02:59:59.500Z", 1),
        ["2026-01-01T03:00:00Z"]
    );
}

#[test]
fn what_is_no_cadence_is_refused_with_the_reason() {
    let now = at("2026-01-01T00:00:00Z");
    let refused = |cron: &str, zone: &str| Cadence::new(cron, zone, now).expect_err(cron);
    for cron in [
        "",
        "every day",
        "0 25 * * *",
        "* * *",
        "61 * * * *",
        &"* ".repeat(200),
    ] {
        assert!(
            matches!(refused(cron, "UTC"), CadenceError::Cron(_)),
            "{cron}"
        );
    }
    let zone = refused("0 3 * * *", "Europe/Bielefeld");
    assert!(matches!(zone, CadenceError::Zone(_)), "{zone}");
    let never = refused("0 0 30 2 *", "UTC");
    assert!(matches!(never, CadenceError::Never), "{never}");
}

#[test]
fn the_newest_ticks_of_a_period_are_found_from_its_end() {
    let cadence = cadence("* * * * * *", "UTC");
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00.750Z"));
    let ticks = cadence.ticks(from, until, 3);
    let newest: Vec<_> = ticks.at.iter().map(ToString::to_string).collect();
    assert_eq!(
        newest,
        [
            "2026-12-31T23:59:58Z",
            "2026-12-31T23:59:59Z",
            "2027-01-01T00:00:00Z"
        ]
    );
    assert!(ticks.more);
    let few = cadence.ticks(at("2026-12-31T23:59:58Z"), until, 3);
    assert_eq!((few.at.len(), few.more), (2, false));
    let exactly = cadence.ticks(at("2026-12-31T23:59:57Z"), until, 3);
    assert_eq!((exactly.at.len(), exactly.more), (3, false));
    let none = cadence.ticks(until, until, 3);
    assert_eq!(none, Ticks::default());
}
