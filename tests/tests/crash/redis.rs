//! Redis is killed, away, or its connections are cut while Stripe sends: what cannot be stored is refused, what was taken
//! is delivered, and the host needs nobody to recover.

use std::thread;
use std::time::Duration;

use coordinator_tests::{TestHouse, eventually};

use crate::burst::{
    Ledger, SENDERS, a_tenth_fails_once, every_accepted_event_was_handled,
    every_emit_is_there_once, moments,
};
use crate::proxy::Proxy;
use crate::servers::{on_redis, server};

const EVENTS: u64 = 1_000;
const KILLS: usize = 10;
const CUTS: usize = 20;
/// As long as the promise says; nothing waits for a result here.
const OUTAGE: Duration = Duration::from_secs(10);

/// Sends a burst, and does something at each of these moments of it.
fn disturbed(house: &TestHouse, at: Vec<u64>, mut disturb: impl FnMut()) {
    a_tenth_fails_once(house, EVENTS);
    let (ledger, door) = (Ledger::of(EVENTS), house.door());
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| ledger.send_all(&door));
        }
        for moment in at {
            ledger.until(moment);
            disturb();
        }
    });
    house.until_settled("lms.enrol");
    let accepted = ledger.accepted();
    eprintln!("{} taken; {:?}", accepted.len(), house.sandbox().counts());
    assert!(!accepted.is_empty());
    every_accepted_event_was_handled(house, &accepted);
    every_emit_is_there_once(house, &accepted);
    assert_eq!(house.sandbox().counts().repeats_with_new_key, 0);
}

fn until_ready(house: &TestHouse) {
    eventually("the host takes messages again", || {
        let answer = house.ask("GET", "/readyz").try_send()?;
        answer.is_success().then_some(())
    });
}

#[test]
fn a_redis_server_killed_ten_times_in_a_burst_loses_nothing_that_was_taken() {
    let server = server();
    let house = on_redis(TestHouse::builder().payments().patient(), server.port()).start();
    disturbed(&house, moments(KILLS, EVENTS), || {
        server.kill();
        server.restart();
        until_ready(&house);
    });
}

#[test]
fn a_redis_server_that_is_away_for_ten_seconds_is_waited_for() {
    let server = server();
    let house = on_redis(TestHouse::builder().payments().patient(), server.port()).start();
    // What comes meanwhile is refused, so some must have come before.
    disturbed(&house, vec![EVENTS / 2], || {
        server.kill();
        eventually("the host says that it is not ready", || {
            let answer = house.ask("GET", "/readyz").try_send()?;
            (!answer.is_success()).then_some(())
        });
        thread::sleep(OUTAGE);
        server.restart();
        until_ready(&house);
    });
}

#[test]
fn a_connection_cut_in_the_middle_of_a_pipeline_loses_and_doubles_nothing() {
    let server = server();
    let proxy = Proxy::start(server.port());
    let house = on_redis(TestHouse::builder().payments().patient(), proxy.port()).start();
    disturbed(&house, moments(CUTS, EVENTS), || {
        proxy.cut_next();
        until_ready(&house);
    });
}
