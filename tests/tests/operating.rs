//! What an operator does to a running house: counts before acting, follows, stops a handler, discards, skips.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::Stdio;

use coordinator_sandbox::Rule;
use coordinator_tests::{API_KEY, Answer, Payment, TestHouse, eventually};
use serde_json::{Value, json};

const PAID: &str = "org.openedx.payment.received.v1";

fn send(house: &TestHouse, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        let payment = Payment::numbered(n).body();
        Payment::signed(&house.url(), &payment).send().is(202);
    }
}

/// A house whose LMS has refused so many payments for good.
fn with_dead_letters(number: u64) -> TestHouse {
    let house = TestHouse::builder().payments().patient().start();
    let refuse = Rule::status(422);
    house.sandbox().behave(vec![refuse]).expect("a rule");
    send(&house, 1..=number);
    eventually("all are dead letters", || {
        (house.dead_letters().len() as u64 == number).then_some(())
    });
    house
}

fn mend(house: &TestHouse) {
    house.sandbox().behave(Vec::new()).expect("no rule");
}

#[track_caller]
fn post(house: &TestHouse, path: &str, body: &Value) -> Answer {
    house.ask("POST", path).key().json(body).send()
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> String {
    let (found, detail) = answer.is(status).problem();
    assert_eq!(found, code, "{detail}");
    detail
}

fn ids(items: &[Value]) -> Vec<String> {
    let ids = items.iter().filter_map(|item| item["id"].as_str());
    ids.map(str::to_owned).collect()
}

#[test]
fn what_a_dry_run_counted_is_replayed_and_nothing_that_died_later() {
    let mut house = with_dead_letters(3);
    let select = json!({"select": {"dead_letters": {"handler": "lms.enrol"}}, "dry_run": true});
    let counted = post(&house, "/api/v1/replays", &select).is(200).json();
    let paid = ids(&house.messages(PAID));
    assert_eq!(counted["count"], 3, "{counted}");
    assert_eq!(counted["first"], paid[0], "{counted}");
    assert_eq!(counted["last"], paid[2], "{counted}");
    assert_eq!(house.dead_letters().len(), 3, "it was a dry run");

    send(&house, 4..=4);
    eventually("one more has died", || {
        (house.dead_letters().len() == 4).then_some(())
    });
    mend(&house);
    let plan = json!({"plan": counted["plan"], "rate": 1000});
    let done = post(&house, "/api/v1/replays", &plan).is(202).json();
    assert_eq!((&done["count"], &done["scheduled"]), (&json!(3), &json!(3)));
    house.until_settled("lms.enrol");
    let dead = house.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["message"]["id"], ids(&house.messages(PAID))[3]);
    assert_eq!(house.sandbox().counts().enrolled, 3);

    // What died later is discarded, by a filter that leaves it.
    let discard = json!({"filter": {"type": PAID}});
    let done = post(&house, "/api/v1/dead-letters/discard", &discard).is(202);
    assert_eq!(done.json()["discarded"], 1);
    house.expect_dead_letters(0);
}

#[test]
fn the_command_line_counts_asks_and_acts() {
    let house = with_dead_letters(3);
    let dry = house.run(&["dead-letters", "replay", "--all", "--dry-run"]);
    let plan = dry.exits(0).out;
    let plan = plan.lines().find_map(|line| line.strip_prefix("plan"));
    let plan = plan.expect("it prints the plan").trim();
    mend(&house);
    // Nobody is there to say yes.
    house.run(&["dead-letters", "discard", "--all"]).exits(64);
    let done = house.run(&["dead-letters", "replay", "--plan", plan]);
    assert_eq!(done.exits(0).out, "scheduled deliveries: 3\n");
    house.until_settled("lms.enrol");

    let again = [
        "messages",
        "replay",
        "--type",
        PAID,
        "--handler",
        "lms.enrol",
        "--yes",
    ];
    let done = house
        .run(&[&again[..], &["--output", "json"]].concat())
        .exits(0);
    let done: Value = serde_json::from_str(&done.out).expect("it prints JSON");
    assert_eq!((&done["count"], &done["scheduled"]), (&json!(3), &json!(3)));
    house.until_settled("lms.enrol");
    let paid = ids(&house.messages(PAID));
    let two = [
        "messages",
        "replay",
        &paid[0],
        &paid[1],
        "--handler",
        "lms.enrol",
    ];
    house.run(&[&two[..], &["--yes"]].concat()).exits(0);
    house.until_settled("lms.enrol");
    assert_eq!(house.message(&paid[0])["deliveries"][0]["replay"], 3);
    assert_eq!(house.message(&paid[2])["deliveries"][0]["replay"], 2);
}

#[test]
fn a_selection_that_cannot_be_meant_is_refused_with_a_reason() {
    let house = TestHouse::builder().payments().start();
    let replay = |body: Value| post(&house, "/api/v1/replays", &body);
    let filter = |filter: Value| replay(json!({"select": {"filter": filter}}));
    refused(replay(json!({})), 400, "malformed-body");
    refused(
        replay(json!({"select": {"all": {}}})),
        400,
        "malformed-body",
    );
    refused(filter(json!({"typ": PAID})), 400, "malformed-body");
    refused(filter(json!({"since": "yesterday"})), 400, "malformed-body");
    refused(replay(json!({"plan": "x"})), 400, "malformed-body");
    refused(
        replay(json!({"plan": "e30", "rate": 0})),
        400,
        "malformed-body",
    );
    refused(filter(json!({"state": "retrying"})), 422, "handler-needed");
    let many: Vec<_> = (0..1_001)
        .map(|n| format!("01a2038f-1f44-7f78-987c-{n:012x}"))
        .collect();
    let detail = refused(
        replay(json!({"select": {"messages": many}})),
        422,
        "selection-too-large",
    );
    assert!(detail.contains("1001"), "{detail}");
    let nobody = json!({"select": {"filter": {}}, "handler": "no.body"});
    refused(replay(nobody), 404, "no-such-handler");

    let gone = "01a2038f-1f44-7f78-987c-3ef45bef987a";
    let named = json!({"select": {"messages": [gone]}, "dry_run": true});
    let counted = replay(named).is(200).json();
    assert_eq!(
        (&counted["count"], &counted["unknown"][0]),
        (&json!(0), &json!(gone))
    );

    for path in [
        "/api/v1/dead-letters/replay",
        "/api/v1/dead-letters/discard",
    ] {
        refused(post(&house, path, &json!({})), 400, "malformed-body");
        // A plan for messages must not discard dead letters.
        let plan = json!({"plan": counted["plan"]});
        refused(post(&house, path, &plan), 400, "malformed-body");
    }
    for path in ["messages", "dead-letters"] {
        let path = format!("/api/v1/{path}/{gone}/discard");
        let (code, _) = post(&house, &path, &json!({})).is(404).problem();
        assert!(code.starts_with("no-such-"), "{code}");
    }
    let skip = house.ask("POST", "/api/v1/handlers/no.body/skip").key();
    refused(skip.send(), 404, "no-such-handler");
    house.run(&["messages", "replay"]).exits(64);
    house.run(&["messages", "replay", gone, "--all"]).exits(64);
}

#[test]
fn a_pause_survives_a_kill_and_what_waits_can_be_discarded_or_skipped() {
    let mut house = TestHouse::builder().payments().start();
    house.run(&["handlers", "pause", "lms.enrol"]).exits(0);
    house.kill();
    house.start();
    send(&house, 1..=4);
    let lms = house.handler("lms.enrol");
    assert_eq!(
        (&lms["state"], &lms["paused"]),
        (&json!("paused"), &json!(true))
    );
    assert_eq!(lms["lag"], 4, "{lms}");

    let paid = ids(&house.messages(PAID));
    let discarded = house.run(&["messages", "discard", &paid[0], "--yes"]);
    assert_eq!(discarded.exits(0).out, "discarded deliveries: 1\n");
    let path = format!("/api/v1/messages/{}/discard", paid[0]);
    refused(post(&house, &path, &json!({})), 409, "nothing-to-discard");

    house.run(&["handlers", "skip", "lms.enrol"]).exits(64);
    house
        .run(&["handlers", "skip", "lms.enrol", "--yes"])
        .exits(0);
    house.until_settled("lms.enrol");
    house.run(&["handlers", "resume", "lms.enrol"]).exits(0);
    send(&house, 5..=5);
    house.until_settled("lms.enrol");
    assert_eq!(house.sandbox().counts().enrolled, 1);
    let listed = house.run(&["handlers", "list"]).exits(0).out;
    for column in ["PARKED", "LAG", "OLDEST", "running"] {
        assert!(listed.contains(column), "{listed}");
    }
}

#[test]
fn messages_are_found_by_their_source_and_by_what_they_say() {
    let house = TestHouse::builder().payments().start();
    send(&house, 1..=3);
    house.until_settled("lms.enrol");
    let found = house.list("/api/v1/messages?plugin=stripe&q=ORDER-2");
    assert_eq!(ids(&found), ids(&house.messages(PAID))[1..2]);
    let path = format!("/api/v1/messages?source=/plugins/stripe&type={PAID}");
    assert_eq!(house.list(&path).len(), 3);
    assert!(house.list("/api/v1/messages?plugin=nobody").is_empty());
    let both = house.ask("GET", "/api/v1/messages?plugin=a&source=b").key();
    refused(both.send(), 400, "malformed-parameter");
    let verbose = house.get("/readyz?verbose");
    let journal = &verbose["checks"][0];
    let detail = journal["detail"].as_str().unwrap_or_default();
    assert!(
        detail.contains("sqlite") && detail.ends_with("; strict"),
        "{journal}"
    );
}

/// Lines of a stream without an end.
fn follow(
    house: &TestHouse,
    path: &str,
    last: Option<&str>,
) -> Lines<BufReader<minreq::ResponseLazy>> {
    let mut request = minreq::get(format!("{}{path}", house.url()))
        .with_header("authorization", format!("Bearer {API_KEY}"));
    if let Some(last) = last {
        request = request.with_header("Last-Event-ID", last);
    }
    let answer = request.send_lazy().expect("the host answers");
    assert_eq!(answer.status_code, 200);
    BufReader::new(answer).lines()
}

/// The next event that has a message: its id, and the message's.
fn event(lines: &mut Lines<BufReader<minreq::ResponseLazy>>) -> (String, String) {
    let mut id = String::new();
    loop {
        let line = lines
            .next()
            .expect("the stream goes on")
            .expect("it is text");
        if let Some(found) = line.strip_prefix("id: ") {
            id = found.to_owned();
        }
        if let Some(data) = line.strip_prefix("data: ") {
            let data: Value = serde_json::from_str(data).expect("it is JSON");
            return (id, data["id"].as_str().expect("it has an id").to_owned());
        }
    }
}

#[test]
fn a_follower_sees_new_messages_goes_on_where_it_was_and_does_not_hold_up_the_stop() {
    let mut house = TestHouse::builder().payments().start();
    send(&house, 1..=1);
    house.until_settled("lms.enrol");
    let path = format!("/api/v1/messages/tail?type={PAID}");
    let mut following = follow(&house, &path, None);
    send(&house, 2..=4);
    let paid = ids(&house.messages(PAID));
    let (place, first) = event(&mut following);
    assert_eq!(first, paid[1], "only what came later");
    assert_eq!(event(&mut following).1, paid[2]);

    let mut again = follow(&house, &path, Some(&place));
    assert_eq!([event(&mut again).1, event(&mut again).1], paid[2..4]);
    let odd = house.ask("GET", "/api/v1/messages/tail?cursor=x").key();
    refused(odd.send(), 400, "malformed-parameter");
    // 32 may follow.
    let _crowd: Vec<_> = (2..32).map(|_| follow(&house, &path, None)).collect();
    let late = house.ask("GET", &path).key().send();
    assert!(late.retry_after().is_some());
    refused(late, 503, "too-many-followers");

    house.until_settled("lms.enrol");
    assert_eq!(house.terminate(), Some(0));
    assert!(following.all(|line| line.is_ok()), "it ends in good order");
    house.start();
}

#[test]
fn the_command_line_follows_until_ctrl_c_and_ends_with_0() {
    let house = TestHouse::builder().payments().start();
    let arguments = ["messages", "tail", "--output", "json", "--type", PAID];
    let mut tail = house.command(&arguments);
    let mut tail = tail
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(tail.stdout.take().expect("it is piped")).lines();
    // It prints what comes once it is connected, which nobody is told: so payments come until it has printed one.
    let printed = std::thread::spawn(move || (lines.next(), lines));
    let mut number = 0;
    eventually("a message is printed", || {
        number += 1;
        send(&house, number..=number);
        printed.is_finished().then_some(())
    });
    let (line, _lines) = printed.join().expect("it reads");
    let line = line.expect("a line").expect("it is text");
    let message: Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!(message["type"], PAID);

    coordinator_tests::interrupt(&tail);
    let ended = eventually("it ends", || tail.try_wait().expect("it is ours"));
    assert_eq!(ended.code(), Some(0));
    house.until_settled("lms.enrol");
}
