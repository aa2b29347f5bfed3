//! A schedule is run when the test says so.

use coordinator_sdk::testing::Host;

use super::*;

#[test]
fn what_is_due_is_published_for_each_ledger_as_of_when_it_was_due() {
    let host = Host::<Schedule>::new(serde_json::json!({"ledgers": ["de", "fr"]}));
    let due = Timestamp::from_millis(1_764_038_400_000);
    host.set_now(due);
    host.schedule("close").expect("it is done");
    let books: Vec<BooksDue> = host.published();
    let ledgers: Vec<&str> = books.iter().map(|books| &*books.ledger).collect();
    assert_eq!(ledgers, ["de", "fr"]);
    assert!(books.iter().all(|books| books.until == due));
}

#[test]
fn the_manifest_says_when_and_where() {
    let host = Host::<Schedule>::new(serde_json::json!({"ledgers": []}));
    let schedule = &host.manifest().schedules[0];
    assert_eq!(schedule.cron, "0 3 * * *");
    assert_eq!(schedule.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(schedule.max_attempts, Some(5));
}
