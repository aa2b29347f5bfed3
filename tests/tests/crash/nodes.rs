//! Three hosts on one Redis: one is killed, one is frozen and goes on later. What they had begun is done by the others,
//! and the frozen one cannot settle with what it held.

use std::thread;

use coordinator_tests::{TestHouse, eventually};

use crate::burst::{
    Ledger, SENDERS, a_tenth_fails_once, every_accepted_event_was_handled, every_emit_is_there_once,
};
use crate::servers::{on_redis, server};

const EVENTS: u64 = 1_500;

#[test]
fn of_three_hosts_one_killed_and_one_frozen_the_others_do_all_the_work() {
    let server = server();
    let first = on_redis(TestHouse::builder().payments().patient(), server.port()).start();
    let lms = first.sandbox().url();
    let node = || {
        let builder = TestHouse::builder().payments_at(&lms).patient();
        on_redis(builder, server.port()).start()
    };
    let (mut second, third) = (node(), node());
    a_tenth_fails_once(&first, EVENTS);
    let ledger = Ledger::of(EVENTS);
    let door = first.door();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| ledger.send_all(&door));
        }
        ledger.until(EVENTS / 4);
        second.kill();
        ledger.until(EVENTS / 2);
        third.freeze();
    });
    // Also what the frozen one holds: the others take it over.
    first.until_settled("lms.enrol");
    let requests = first.sandbox().counts().requests;
    third.thaw();
    eventually("the frozen one is a node again", || {
        let answer = third.ask("GET", "/readyz").try_send()?;
        answer.is_success().then_some(())
    });
    first.until_settled("lms.enrol");

    let accepted = ledger.accepted();
    let lms = first.sandbox().counts();
    eprintln!(
        "{} taken; {requests} requests before the thaw; {lms:?}",
        accepted.len()
    );
    assert_eq!(
        accepted.len() as u64,
        EVENTS,
        "the first host took them all"
    );
    every_accepted_event_was_handled(&first, &accepted);
    every_emit_is_there_once(&first, &accepted);
    assert_eq!(lms.repeats_with_new_key, 0, "{lms:?}");
}
