//! What is published for later, and what the clock publishes: once, at its time, whoever is killed in between.

use coordinator_tests::{Answer, TestHouse, eventually};
use serde_json::{Value, json};

const ASKED: &str = "org.example.greeting.asked.v1";
const FAR: &str = "2999-01-01T00:00:00Z";

fn hello() -> coordinator_tests::Builder {
    TestHouse::builder().plugin("hello", "hello", "")
}

fn publish(house: &TestHouse, content_type: &str, body: &Value) -> Answer {
    let ask = house.ask("POST", "/api/v1/messages").key();
    let body = body.to_string();
    ask.header("content-type", content_type).body(body).send()
}

fn event(deliver_at: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": format!("e {deliver_at}"), "source": "/tests", "type": ASKED,
        "deliverat": deliver_at, "data": {"name": "Ada"},
    })
}

/// Of a time such as `2026-05-01T12:30:45Z`.
fn second_of_day(time: &str) -> u32 {
    let part = |from: usize| time[from..from + 2].parse::<u32>().expect("two digits");
    (part(11) * 60 + part(14)) * 60 + part(17)
}

fn state(house: &TestHouse, id: &str) -> Value {
    house.message(id)["state"].clone()
}

#[test]
fn a_message_for_later_is_delivered_at_its_time_and_survives_a_kill_until_then() {
    let mut house = hello().start();
    let data = "{\"name\":\"Ada\"}";
    let publish = |later: &str| {
        let arguments = [
            "messages",
            "publish",
            "--type",
            ASKED,
            "--data",
            data,
            "--deliver-after",
            later,
            "--output",
            "json",
        ];
        let said: Value = serde_json::from_str(&house.run(&arguments).exits(0).out).expect("JSON");
        said["receipts"][0]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let (soon, far) = (publish("3s"), publish("300d"));
    assert_eq!(state(&house, &far), "delayed");
    house.kill();
    house.start();
    eventually("its time has come", || {
        (state(&house, &soon) == "acked").then_some(())
    });
    assert_eq!(state(&house, &far), "delayed");
}

#[test]
fn a_time_in_the_past_is_now() {
    let house = hello().start();
    let past = json!("2020-01-01T00:00:00+01:00");
    let answer = publish(&house, "application/cloudevents+json", &event(&past)).is(202);
    let id = answer.json()["receipts"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    eventually("it is handled", || {
        (state(&house, &id) == "acked").then_some(())
    });
}

#[test]
fn a_time_that_cannot_be_is_refused_by_name_in_every_mode() {
    let house = hello().start();
    for wrong in [
        json!("tomorrow"),
        json!(1_700_000_000),
        json!("2026-13-01T00:00:00Z"),
        json!(""),
    ] {
        let (code, detail) = publish(&house, "application/cloudevents+json", &event(&wrong))
            .is(400)
            .problem();
        assert_eq!(code, "malformed-event");
        assert!(detail.contains("`deliverat`"), "{detail}");
    }
    let batch = json!([event(&Value::Null), event(&json!("later"))]);
    let refused = publish(&house, "application/cloudevents-batch+json", &batch).is(400);
    assert_eq!(refused.json()["index"], 1);
    let (code, detail) = publish(&house, "application/cloudevents+json", &event(&json!(FAR)))
        .is(422)
        .problem();
    assert_eq!(code, "deliver-at-too-far");
    assert!(detail.contains("366 days"), "{detail}");
    for (value, status) in [("soon", 400), (FAR, 422)] {
        let ask = house.ask("POST", "/api/v1/messages").key();
        let ask = ask.header("ce-type", ASKED).header("ce-deliverat", value);
        ask.json(&json!({"name": "Ada"})).send().is(status);
    }
    let arguments = [
        "messages",
        "publish",
        "--type",
        ASKED,
        "--deliver-at",
        "tomorrow",
    ];
    let _ = house.run(&arguments).exits(64);
    assert!(house.messages(ASKED).is_empty());
}

#[test]
fn a_schedule_ticks_once_a_tick_also_when_the_host_is_killed() {
    let mut house = hello()
        .config(
            "[wiring.schedules.greeter]\ncron = \"* * * * * *\"\nmissed = \"all\"\n\
             type = \"org.example.greeting.asked.v1\"\ndata = { name = \"Ada\" }",
        )
        .start();
    let ticks = |house: &TestHouse, least: usize| {
        eventually("it ticks", || {
            let messages = house.messages(ASKED);
            (messages.len() >= least).then_some(messages)
        })
    };
    ticks(&house, 2);
    house.kill();
    house.start();
    let before = house.messages(ASKED).len();
    let messages = ticks(&house, before + 3);
    assert!(messages.iter().all(|it| it["subject"] == "greeter"));
    assert!(
        messages
            .iter()
            .all(|it| it["source"] == "/schedules/greeter")
    );
    let mut times: Vec<&str> = messages
        .iter()
        .filter_map(|it| it["time"].as_str())
        .collect();
    times.sort_unstable();
    for pair in times.windows(2) {
        let step = (second_of_day(pair[1]) + 86_400 - second_of_day(pair[0])) % 86_400;
        assert_eq!(step, 1, "each second once: {times:?}");
    }

    let listed = house.get("/api/v1/schedules");
    let schedule = &listed["items"][0];
    assert_eq!(
        (&schedule["name"], &schedule["enabled"]),
        (&json!("greeter"), &json!(true))
    );
    assert!(
        schedule["last"].is_string() && schedule["next"].is_string(),
        "{listed}"
    );
    let table = house.run(&["schedules", "list"]).exits(0).out;
    assert!(
        table.contains("greeter") && table.contains("* * * * * *"),
        "{table}"
    );
}

#[test]
fn a_schedule_that_cannot_be_keeps_the_host_from_starting_and_is_named() {
    let wrong = "[wiring.schedules.a]\ncron = \"0 25 * * *\"\ntype = \"org.example.greeting.asked.v1\"\n\
         data = { name = \"Ada\" }\n\
         [wiring.schedules.b]\ncron = \"0 3 * * *\"\ntype = \"org.example.nobody.knows.v1\"\n\
         [wiring.schedules.c]\ncron = \"0 3 * * *\"\ntype = \"org.example.greeting.asked.v1\"\n\
         [wiring.schedules.d]\ncron = \"0 3 * * *\"\ntype = \"org.example.greeting.asked.v1\"\n\
         zone = \"Europe/Bielefeld\"\ndata = { name = \"Ada\" }";
    let ended = hello().config(wrong).serve().exits(78);
    for key in ["a.cron", "b.type", "c.data", "d.zone"] {
        let key = format!("wiring.schedules.{key}:");
        assert!(ended.err.contains(&key), "{key} in:\n{}", ended.err);
    }
}
