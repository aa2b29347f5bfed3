//! Commands, flags and checks, as an operator meets them.

use coordinator_sdk::testing::Host;

use super::*;

fn host() -> Host<Command> {
    Host::new(serde_json::json!({}))
}

#[test]
fn a_command_answers_json_and_publishes() {
    let host = host();
    let told = host
        .command(
            "reindex",
            &serde_json::json!({"limit": 2, "organisation": "mit"}),
        )
        .expect("it reindexes");
    assert_eq!(
        (told.text(), told.content_type()),
        (r#"{"courses":2}"#, "application/json")
    );
    let stale: Vec<CourseStale> = host.published();
    assert_eq!(stale[1].course, "mit-2");
}

#[test]
fn a_command_answers_text() {
    let told = host().command("count", &()).expect("it counts");
    assert_eq!(told.text(), "3 courses");
}

#[test]
fn arguments_that_do_not_fit_are_refused_by_naming_the_field() {
    let refused = host()
        .command("reindex", &serde_json::json!({}))
        .expect_err("it needs a limit");
    assert!(
        refused.chain()[0].contains("missing field `limit`"),
        "{refused:?}"
    );
}

#[test]
fn an_operator_can_switch_it_off() {
    let host = host();
    host.flag(Switches::BY_HAND, false);
    let refused = host
        .command("reindex", &serde_json::json!({"limit": 1}))
        .expect_err("it is switched off");
    assert!(refused.chain()[0].contains("`by_hand`"), "{refused:?}");
}

#[test]
fn a_check_finds_what_is_wrong_and_says_what_to_do() {
    assert!(host().check().is_empty());
    let empty = Host::<Command>::new(serde_json::json!({"courses": 0}));
    let findings = empty.check();
    assert_eq!(findings[0].id(), "command.no-courses");
    assert_eq!(findings[0].severity(), Severity::Warning);
}
