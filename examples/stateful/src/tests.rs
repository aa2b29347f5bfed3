//! From the start to the end.

use std::time::Duration;

use coordinator_sdk::testing::{Call, Host};

use super::*;

fn visit(host: &Host<Stateful>) -> (u16, String) {
    let answer = host.call(Call::post("/visits"));
    (
        answer.status,
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

#[test]
fn visits_are_counted_until_there_are_too_many_in_an_hour() {
    let host = Host::<Stateful>::new(serde_json::json!({"hourly": 2}));
    assert_eq!(visit(&host), (200, "1 here, 1 everywhere".to_owned()));
    assert_eq!(visit(&host), (200, "2 here, 2 everywhere".to_owned()));
    assert_eq!(visit(&host).0, 429);
    host.advance(Duration::from_secs(3601));
    assert_eq!(visit(&host), (200, "3 here, 1 everywhere".to_owned()));
    assert_eq!(host.metric("visits", &[]), Some(3.0));
}

#[test]
fn settings_that_make_no_sense_do_not_start() {
    let refused = Host::<Stateful>::try_new(serde_json::json!({"hourly": 0}));
    assert_eq!(
        refused.err().as_deref(),
        Some("`hourly` must be above zero")
    );
}

#[test]
fn the_hour_is_forgotten_by_one_at_a_time() {
    let host = Host::<Stateful>::new(serde_json::json!({}));
    visit(&host);
    assert_eq!(
        host.command("forget", &())
            .expect("nobody else does")
            .text(),
        "forgotten"
    );
    assert_eq!(host.cached::<i64>("visits"), None);
    host.hold("forget");
    let refused = host.command("forget", &()).expect_err("somebody else does");
    assert!(
        refused.chain()[0].contains("somebody else holds the lock"),
        "{refused:?}"
    );
}

#[test]
fn it_is_well_and_ends() {
    let host = Host::<Stateful>::new(serde_json::json!({}));
    host.health().expect("it is well");
    host.stop().expect("it ends");
}
