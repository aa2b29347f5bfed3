//! The host is killed, again and again, while Stripe sends: nothing that it took is lost, nothing is done twice that
//! could be known to be done.

use std::collections::BTreeMap;
use std::thread;

use coordinator_tests::{Builder, TestHouse};

use crate::burst::{
    Ledger, SENDERS, a_tenth_fails_once, every_accepted_event_was_handled,
    every_emit_is_there_once, moments, note_settled, nothing_settled_was_repeated,
};
use crate::servers::{BLAMELESS, on_redis, server};

const EVENTS: u64 = 2_000;
const KILLS: usize = 20;

#[test]
fn a_host_killed_twenty_times_in_a_burst_loses_and_doubles_nothing() {
    kill_the_host(TestHouse::builder().config(BLAMELESS));
}

#[test]
fn a_host_on_redis_killed_twenty_times_in_a_burst_loses_and_doubles_nothing() {
    let server = server();
    kill_the_host(on_redis(TestHouse::builder(), server.port()));
}

/// Kills the host again and again while payments come, one in ten of which the LMS refuses at first.
pub(crate) fn kill_the_host(builder: Builder) {
    let mut house = builder.payments().patient().start();
    a_tenth_fails_once(&house, EVENTS);
    let (ledger, door) = (Ledger::of(EVENTS), house.door());
    let mut settled = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| ledger.send_all(&door));
        }
        for moment in moments(KILLS, EVENTS) {
            ledger.until(moment);
            note_settled(&house, &mut settled);
            house.kill();
            house.start();
        }
    });
    house.until_settled("lms.enrol");

    let accepted = ledger.accepted();
    eprintln!("{} taken; {:?}", accepted.len(), house.sandbox().counts());
    assert!(accepted.len() as u64 > EVENTS / 2, "most were taken");
    every_accepted_event_was_handled(&house, &accepted);
    nothing_settled_was_repeated(&house, &settled);
    every_emit_is_there_once(&house, &accepted);
}
