//! The LMS part, through HTTP: what it takes, what it refuses, and how it misbehaves when told to.

mod client;

use std::time::Duration;

use client::{Caller, enrolment};
use coordinator_sandbox::{Credential, Options, Outcome, Rule, Sandbox};
use serde_json::{Value, json};

const COURSE: &str = "course-v1:SandboxX+Commerce101+2026";

#[tokio::test]
async fn an_enrolment_is_confirmed_and_kept_in_the_ledger() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let answer = Caller::of(&sandbox)
        .enrol("key-1", &enrolment("learner-1", COURSE, "ORDER-1"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["user"], "learner-1");
    assert_eq!(answer.body["mode"], "verified");
    assert_eq!(answer.body["is_active"], true);
    assert_eq!(answer.body["course_details"]["course_id"], COURSE);
    assert!(answer.body["created"].is_string());

    let entry = sandbox.entries().remove(0);
    assert_eq!(entry.asked.idempotency_key.as_deref(), Some("key-1"));
    assert_eq!(entry.asked.order_number.as_deref(), Some("ORDER-1"));
    assert_eq!(
        (entry.outcome, entry.status, entry.repeat),
        (Outcome::Answered, Some(200), false)
    );
    assert_eq!(
        sandbox.enrolments(),
        [("learner-1".to_owned(), COURSE.to_owned())]
    );
}

#[tokio::test]
async fn a_repeated_enrolment_is_confirmed_again_and_counted_by_its_key() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    for key in ["key-1", "key-1", "key-2"] {
        assert_eq!(
            caller
                .enrol(key, &enrolment("learner-1", COURSE, "ORDER-1"))
                .await
                .status,
            200
        );
    }
    let counts = sandbox.counts();
    assert_eq!((counts.requests, counts.enrolled), (3, 1));
    assert_eq!((counts.repeats, counts.repeats_with_new_key), (2, 1));
    let repeats: Vec<bool> = sandbox.entries().iter().map(|entry| entry.repeat).collect();
    assert_eq!(repeats, [false, true, true]);
}

#[tokio::test]
async fn a_bad_call_is_refused_with_a_message_and_enrols_nobody() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    let good = enrolment("learner-1", COURSE, "ORDER-1");
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let bad = [
        (with("/user", Value::Null), "User must be specified"),
        (with("/user", json!("")), "User must be specified"),
        (
            with("/course_details", json!({})),
            "Course ID must be specified",
        ),
        (
            with("/course_details/course_id", json!("edX/DemoX/Demo")),
            "No course 'edX/DemoX/Demo' found",
        ),
        (
            with("/course_details/course_id", json!("course-v1:a+b")),
            "No course 'course-v1:a+b' found",
        ),
        (with("/mode", json!("golden")), "[golden] course mode"),
        (with("/is_active", json!("yes")), "JSON parse error"),
        (
            with("/enrollment_attributes/0/value", json!("")),
            "need a namespace",
        ),
        (json!("not an object"), "JSON parse error"),
    ];
    for (body, message) in bad {
        let answer = caller.enrol("key-1", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let said = answer.body["message"].as_str().unwrap();
        assert!(said.contains(message), "{said}");
    }
    let answer = caller.without_key().enrol("", &good).await;
    assert_eq!(
        (answer.status, answer.body["message"].as_str()),
        (400, Some("The header Idempotency-Key is missing."))
    );
    assert!(sandbox.enrolments().is_empty());
}

#[tokio::test]
async fn a_caller_without_the_right_credential_is_refused() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let body = enrolment("learner-1", COURSE, "ORDER-1");
    for header in [
        None,
        Some(("authorization", "Bearer wrong")),
        Some(("x-edx-api-key", "sandbox-lms-token")),
    ] {
        assert_eq!(
            Caller::of(&sandbox)
                .with_credential(header)
                .enrol("key-1", &body)
                .await
                .status,
            401
        );
    }
    let options = Options {
        credential: Credential::EdxApiKey("k".to_owned()),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).unwrap();
    let with_key = Caller::of(&sandbox).with_credential(Some(("x-edx-api-key", "k")));
    assert_eq!(with_key.enrol("key-1", &body).await.status, 200);
}

#[tokio::test]
async fn a_rule_for_one_user_holds_as_often_as_it_says() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    let rules = json!({ "rules": [{
        "match": { "user": "learner-1" },
        "answer": { "status": 503, "retry_after": 1, "times": 2 },
    }] });
    assert_eq!(
        caller.control("PUT", "/behaviour", &rules).await.status,
        200
    );

    let (one, two) = (
        enrolment("learner-1", COURSE, "ORDER-1"),
        enrolment("learner-2", COURSE, "ORDER-2"),
    );
    let refused = caller.enrol("key-1", &one).await;
    assert_eq!(
        (refused.status, refused.retry_after.as_deref()),
        (503, Some("1"))
    );
    assert_eq!(caller.enrol("key-2", &two).await.status, 200);
    assert_eq!(caller.enrol("key-1", &one).await.status, 503);
    assert_eq!(caller.enrol("key-1", &one).await.status, 200);
    assert_eq!(
        caller.control("GET", "/behaviour", &Value::Null).await.body,
        json!({ "rules": [] })
    );
    assert_eq!(sandbox.counts().by_status, [(200, 2), (503, 2)].into());
}

#[tokio::test]
async fn a_rule_that_contradicts_itself_is_refused_and_the_old_ones_stay() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    sandbox.behave(vec![Rule::status(503)]).unwrap();
    let bad = [
        json!({ "hang": true, "reset": true }),
        json!({ "status": 503, "hang": true }),
        json!({ "status": 99 }),
        json!({ "status": 503, "times": 0 }),
        json!({ "delay_ms": 86_400_000 }),
        json!({ "stauts": 503 }),
    ];
    for answer in bad {
        let refused = caller
            .control(
                "PUT",
                "/behaviour",
                &json!({ "rules": [{ "answer": answer }] }),
            )
            .await;
        assert_eq!(refused.status, 400, "{answer}");
        assert!(refused.body["error"].is_string());
    }
    assert_eq!(
        caller
            .enrol("key-1", &enrolment("learner-1", COURSE, "ORDER-1"))
            .await
            .status,
        503
    );
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_and_may_hide_that_the_work_was_done() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox
        .behave(vec![
            Rule::reset().times(1),
            Rule::reset().after_enrolling().times(1),
        ])
        .unwrap();
    let caller = Caller::of(&sandbox);
    let body = enrolment("learner-1", COURSE, "ORDER-1");

    assert!(caller.try_enrol("key-1", &body).await.is_err());
    assert!(sandbox.enrolments().is_empty());
    assert!(caller.try_enrol("key-1", &body).await.is_err());
    assert_eq!(sandbox.enrolments().len(), 1);

    assert_eq!(caller.enrol("key-1", &body).await.status, 200);
    let outcomes: Vec<Outcome> = sandbox
        .entries()
        .iter()
        .map(|entry| entry.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Closed, Outcome::Closed, Outcome::Answered]
    );
    let counts = sandbox.counts();
    assert_eq!(
        (
            counts.unanswered,
            counts.repeats,
            counts.repeats_with_new_key
        ),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn a_hung_request_is_never_answered_and_does_not_hold_up_the_end() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox
        .behave(vec![Rule::hang().for_user("learner-1")])
        .unwrap();
    let caller = Caller::of(&sandbox);
    let hung = caller.clone();
    let hung = tokio::spawn(async move {
        hung.try_enrol("key-1", &enrolment("learner-1", COURSE, "ORDER-1"))
            .await
    });
    while sandbox.counts().unanswered == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        caller
            .enrol("key-2", &enrolment("learner-2", COURSE, "ORDER-2"))
            .await
            .status,
        200
    );
    drop(sandbox);
    assert!(hung.await.unwrap().is_err());
}

#[tokio::test]
async fn a_slow_answer_is_an_ordinary_one() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox
        .behave(vec![Rule::delay(Duration::from_millis(20))])
        .unwrap();
    let answer = Caller::of(&sandbox)
        .enrol("key-1", &enrolment("learner-1", COURSE, "ORDER-1"))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_ledger_is_read_page_by_page_and_cleared() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    for n in 1..=5 {
        let body = enrolment(&format!("learner-{n}"), COURSE, &format!("ORDER-{n}"));
        assert_eq!(caller.enrol(&format!("key-{n}"), &body).await.status, 200);
    }
    let mut seen = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let page = caller
            .control(
                "GET",
                &format!("/ledger?limit=2&after={after}"),
                &Value::Null,
            )
            .await
            .body;
        assert_eq!(page["counts"]["enrolled"], 5);
        let entries = page["entries"].as_array().unwrap().clone();
        assert!(entries.len() <= 2);
        seen.extend(
            entries
                .into_iter()
                .map(|entry| entry["asked"]["user"].clone()),
        );
        after = page["next"].clone();
    }
    assert_eq!(
        seen,
        [
            "learner-1",
            "learner-2",
            "learner-3",
            "learner-4",
            "learner-5"
        ]
    );

    assert_eq!(
        caller
            .control("DELETE", "/ledger", &Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(sandbox.counts(), coordinator_sandbox::Counts::default());
    assert!(sandbox.enrolments().is_empty());
}

#[tokio::test]
async fn a_sandbox_comes_back_on_the_port_it_had() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    let body = enrolment("learner-1", COURSE, "ORDER-1");
    assert_eq!(caller.enrol("key-1", &body).await.status, 200);
    let listen = sandbox.address();
    drop(sandbox);
    assert!(caller.try_enrol("key-1", &body).await.is_err());

    let sandbox = Sandbox::start(Options {
        listen,
        ..Options::default()
    })
    .unwrap();
    assert_eq!(caller.enrol("key-1", &body).await.status, 200);
    assert_eq!(sandbox.counts().requests, 1);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_and_written_down() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let caller = Caller::of(&sandbox);
    assert_eq!(
        caller
            .request("GET", "/api/enrollment/v1/enrollment", &Value::Null)
            .await
            .status,
        405
    );
    assert_eq!(
        caller
            .request("GET", "/api/user/v1/accounts", &Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        caller.control("GET", "/healthz", &Value::Null).await.body,
        json!({ "status": "ok" })
    );
    assert_eq!(
        caller.control("GET", "/nothing", &Value::Null).await.status,
        404
    );
    assert_eq!(sandbox.counts().requests, 2);
}
