//! What becomes of ticks that are due, late or missed.

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn planned(last: &str, now: &str, missed: Missed) -> (Vec<String>, Option<String>, bool) {
    let hourly = Cadence::new("0 * * * *", "UTC", at(last)).expect("a cadence");
    let plan = plan(&hourly, at(last), at(now), missed);
    let text = |at: &Timestamp| at.to_string()[11..16].to_owned();
    (
        plan.publish.iter().map(text).collect(),
        plan.pass_over.as_ref().map(text),
        plan.gave_up,
    )
}

fn hours(hours: &[&str]) -> Vec<String> {
    hours.iter().map(|hour| (*hour).to_owned()).collect()
}

#[test]
fn a_tick_on_time_is_published_whatever_is_said_of_missed_ones() {
    for missed in [Missed::One, Missed::All, Missed::None] {
        let plan = planned("2026-05-01T09:00:00Z", "2026-05-01T10:00:00.020Z", missed);
        assert_eq!(plan, (hours(&["10:00"]), None, false));
        let nothing = planned("2026-05-01T09:00:00Z", "2026-05-01T09:59:59Z", missed);
        assert_eq!(nothing, (Vec::new(), None, false));
    }
}

#[test]
fn of_missed_ticks_the_last_one_all_or_none_is_made_up_for() {
    let away = |missed| planned("2026-05-01T09:00:00Z", "2026-05-01T12:30:00Z", missed);
    let (last, before) = (Some("12:00".to_owned()), Some("11:00".to_owned()));
    assert_eq!(away(Missed::One), (hours(&["12:00"]), before, false));
    let all = hours(&["10:00", "11:00", "12:00"]);
    assert_eq!(away(Missed::All), (all, None, false));
    assert_eq!(away(Missed::None), (Vec::new(), last, true));
}

#[test]
fn whoever_comes_back_right_at_a_tick_publishes_it() {
    let (publish, pass_over, gave_up) =
        planned("2026-05-01T09:00:00Z", "2026-05-01T12:00:30Z", Missed::None);
    assert_eq!(publish, ["12:00"]);
    assert_eq!((pass_over.as_deref(), gave_up), (Some("11:00"), true));
}

#[test]
fn a_thousand_missed_ticks_are_made_up_for_and_no_more() {
    let all = |now| planned("2026-01-01T00:00:00Z", now, Missed::All);
    let (publish, _, gave_up) = all("2026-12-31T23:59:00Z");
    assert_eq!((publish.len(), gave_up), (MAX_MADE_UP, true));
    let (publish, _, gave_up) = all("2026-02-11T16:30:00Z");
    assert_eq!((publish.len(), gave_up), (MAX_MADE_UP, false));
}
