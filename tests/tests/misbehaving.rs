//! A plugin whose handlers do what handlers should not: nobody but they notice.

use coordinator_tests::{TestHouse, eventually};
use serde_json::{Value, json};

fn house() -> TestHouse {
    TestHouse::builder()
        .plugin("misbehaving", "misbehaving", "")
        .start()
}

/// Publishes the message that this handler takes, through the plugin's own route.
#[track_caller]
fn publish(house: &TestHouse, handler: &str, id: &str) {
    let path = format!("/misbehaving/publish/{handler}");
    house
        .ask("POST", &path)
        .json(&json!({"id": id}))
        .send()
        .is(202);
}

/// `fine` handles what is published now, whatever else is going on.
#[track_caller]
fn the_fine_handler_keeps_its_pace(house: &TestHouse) {
    let acked = |house: &TestHouse| {
        let fine = house.list("/api/v1/messages?type=org.example.misbehave.fine.v1&state=acked");
        fine.len()
    };
    let before = acked(house);
    for n in 0..20 {
        publish(house, "fine", &format!("f-{n}"));
    }
    eventually("`fine` acks all", || {
        (acked(house) == before + 20).then_some(())
    });
}

/// The dead letter that the handler ends with.
#[track_caller]
fn dead_letter(house: &TestHouse, handler: &str) -> Value {
    let path = format!("/api/v1/dead-letters?handler=misbehaving.{handler}");
    eventually("the message is given up", || house.list(&path).pop())
}

#[test]
fn a_handler_that_panics_is_retried_and_its_dead_letter_names_the_place() {
    let mut house = house();
    publish(&house, "panics", "p-1");
    the_fine_handler_keeps_its_pace(&house);
    let letter = dead_letter(&house, "panics");
    assert_eq!(letter["attempts"], 3);
    assert_eq!(letter["failure"]["kind"], "panic");
    let chain = letter["failure"]["chain"].to_string();
    assert!(chain.contains("in a handler, as asked"), "{chain}");
    assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    assert_eq!(house.get("/readyz")["status"], "ok");
    house.expect_dead_letters(1);
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_is_a_panic_like_any_other() {
    let mut house = house();
    publish(&house, "panics_twice", "t-1");
    the_fine_handler_keeps_its_pace(&house);
    let letter = dead_letter(&house, "panics_twice");
    assert_eq!(letter["failure"]["kind"], "panic", "{letter}");
    let chain = letter["failure"]["chain"].to_string();
    assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    assert_eq!(house.get("/readyz")["status"], "ok");
    house.expect_dead_letters(1);
}

#[test]
fn threads_of_a_plugins_own_that_panic_are_named_with_their_place() {
    let mut house = house();
    publish(&house, "panics_elsewhere", "e-1");
    let letter = dead_letter(&house, "panics_elsewhere");
    let chain = letter["failure"]["chain"].to_string();
    assert!(chain.contains("in blocking work, as asked"), "{chain}");
    assert!(chain.contains("misbehaving/src/lib.rs:"), "{chain}");
    // Nobody waits for this one: it is in the log alone, once an attempt.
    house.log().until("on a thread of its own, as asked", 3);
    let place = |line: &String| {
        line.contains("on a thread of its own") && line.contains("misbehaving/src/lib.rs:")
    };
    assert!(house.log().lines().iter().any(place));
    the_fine_handler_keeps_its_pace(&house);
    house.expect_dead_letters(1);
}

#[test]
fn a_step_and_a_command_that_panic_fail_alone_and_name_their_place() {
    const PIPELINE: &str = "org.example.misbehave.v1";
    let house = TestHouse::builder()
        .plugin("misbehaving", "misbehaving", "")
        .config(&format!(
            "[wiring.pipelines.\"{PIPELINE}\"]\nsteps = [\"misbehaving.bend\"]\npublic = true"
        ))
        .start();
    let bend = |how: &str| {
        let ask = house.ask("POST", &format!("/api/v1/pipelines/{PIPELINE}"));
        ask.key().json(&json!({"id": how})).send()
    };
    assert_eq!(bend("panics").status, 502);
    house.log().until("in a step, as asked", 1);
    assert_eq!(bend("fails").problem().0, "as-asked");
    // Given up after its timeout, it panics in its drop.
    assert_eq!(bend("waits").status, 504);
    house.log().until("in a drop, as asked", 1);
    assert_eq!(bend("none").is(200).json()["value"]["id"], "none");

    let broken = house.run(&["run", "misbehaving", "break_down"]).exits(1);
    assert!(
        broken.err.contains("in a command, as asked"),
        "{}",
        broken.err
    );
    let place =
        |line: &String| line.contains("in a step") && line.contains("misbehaving/src/lib.rs:");
    assert!(house.log().lines().iter().any(place));
    the_fine_handler_keeps_its_pace(&house);
}

#[test]
fn a_plugin_that_panics_in_its_health_check_and_stop_serves_until_the_end() {
    for place in ["health", "check", "stop", "drop"] {
        let settings = format!("panics_in = \"{place}\"");
        let mut house = TestHouse::builder()
            .plugin("misbehaving", "misbehaving", &settings)
            .start();
        the_fine_handler_keeps_its_pace(&house);
        assert_eq!(house.terminate(), Some(0), "{place}");
        if place != "health" {
            house.log().until(&format!("in the {place}, as asked"), 1);
        }
    }
}

#[test]
fn an_assertion_in_the_health_is_named_with_its_place_and_the_plugin_serves_on() {
    let house = TestHouse::builder()
        .plugin("misbehaving", "misbehaving", "panics_in = \"health\"")
        .start();
    let told = eventually("it was asked", || {
        let listed = house.get("/api/v1/plugins");
        let told = listed["items"][0]["health"]["detail"].clone();
        told.as_str().map(str::to_owned)
    });
    for text in ["in the health, as asked", "misbehaving/src/lib.rs:"] {
        assert!(told.contains(text), "{told}");
    }
    house
        .log()
        .until("plugin `misbehaving` says that it is not well", 1);
    // Whoever asks from outside learns that something is wrong, and not what.
    let ready = house.get("/readyz?verbose");
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert!(!ready.to_string().contains("as asked"), "{ready}");
    the_fine_handler_keeps_its_pace(&house);
}

#[test]
fn a_change_after_which_the_health_panics_is_refused_and_the_old_instance_serves_on() {
    let house = house();
    let set = ["settings", "set", "misbehaving", "panics_in=health"];
    let refused = house.run(&set).exits(1).err;
    for text in [
        "it started and is not well",
        "in the health, as asked",
        "misbehaving/src/lib.rs:",
    ] {
        assert!(refused.contains(text), "{refused}");
    }
    assert_eq!(house.get("/readyz")["status"], "ok");
    the_fine_handler_keeps_its_pace(&house);
}

#[test]
fn a_plugin_that_panics_in_its_start_is_refused_and_says_where() {
    let ended = TestHouse::builder()
        .plugin("misbehaving", "misbehaving", "panics_in = \"start\"")
        .serve()
        .exits(70);
    assert!(
        ended.err.contains("in the start, as asked"),
        "{}",
        ended.err
    );
    assert!(
        ended.err.contains("misbehaving/src/lib.rs:"),
        "{}",
        ended.err
    );
}

#[test]
fn a_handler_that_never_completes_is_given_up_in_time() {
    let mut house = house();
    publish(&house, "never_completes", "n-1");
    the_fine_handler_keeps_its_pace(&house);
    let letter = dead_letter(&house, "never_completes");
    assert_eq!(letter["attempts"], 2);
    assert_eq!(letter["failure"]["kind"], "timeout");
    house.expect_dead_letters(1);
}

#[test]
fn a_future_that_panics_when_it_is_given_up_hurts_nobody() {
    let mut house = house();
    publish(&house, "panics_in_drop", "d-1");
    the_fine_handler_keeps_its_pace(&house);
    let letter = dead_letter(&house, "panics_in_drop");
    assert_eq!(letter["attempts"], 2);
    the_fine_handler_keeps_its_pace(&house);
    house.expect_dead_letters(1);
}

#[test]
fn a_handler_that_blocks_its_thread_is_named_and_paused_and_its_message_dies_in_the_end() {
    let mut house = house();
    publish(&house, "blocks", "b-1");
    eventually("the blocked handler is named", || {
        (house.handler("misbehaving.blocks")["state"] == "stuck").then_some(())
    });
    // The host is ready all the same: it works, but look.
    let ready = house.get("/readyz?verbose");
    assert_eq!(ready["status"], "degraded", "{ready}");
    let checks = ready["checks"].as_array().expect("a list");
    let named = checks
        .iter()
        .find(|check| check["name"] == "handler misbehaving.blocks");
    assert_eq!(named.expect("it is named")["status"], "degraded", "{ready}");
    house
        .log()
        .until("`misbehaving.blocks` blocks its thread", 1);

    the_fine_handler_keeps_its_pace(&house);
    let blocked = house.handler("misbehaving.blocks");
    assert_ne!(
        blocked["lag"], 0,
        "the other one was done before: {blocked}"
    );

    // An answer beyond the timeout is none: it is tried again, then given up.
    let letter = dead_letter(&house, "blocks");
    assert_eq!(letter["failure"]["kind"], "timeout", "{letter}");
    assert!(
        letter["attempts"].as_u64() > Some(1),
        "it was tried again: {letter}"
    );
    eventually("it is not stuck any more", || {
        (house.handler("misbehaving.blocks")["state"] == "running").then_some(())
    });
    assert_eq!(house.get("/readyz")["status"], "ok");
    house.expect_dead_letters(1);
}

#[test]
fn a_message_that_is_refused_once_is_taken_the_second_time() {
    let house = house();
    publish(&house, "flaky", "y-1");
    house.until_settled("misbehaving.flaky");
    let messages = house.messages("org.example.misbehave.flaky.v1");
    let detail = house.message(messages[0]["id"].as_str().expect("it has an id"));
    let delivery = &detail["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["attempt"]),
        (&json!("acked"), &json!(2)),
        "{detail}"
    );
}

#[test]
fn a_route_that_panics_answers_500_with_a_trace_id_and_nothing_else() {
    let house = house();
    let answer = house.ask("POST", "/misbehaving/panic").send().is(500);
    let (code, detail) = answer.problem();
    assert_eq!((code.as_str(), detail.as_str()), ("internal", ""));
    let trace = answer.json()["trace_id"].as_str().map(str::len);
    assert_eq!(trace, Some(32));
    assert!(!answer.text().contains("as asked"));
    // By the plugin, with the place, and by the host.
    house.log().until("in a route, as asked", 2);
    the_fine_handler_keeps_its_pace(&house);
}

#[test]
fn a_message_that_kills_its_host_is_given_up_and_what_ran_beside_it_is_not() {
    let mut house = house();
    let (kill, go) = (house.folder().join("kill"), house.folder().join("go"));
    for _ in 0..4 {
        publish(&house, "waits", go.to_str().unwrap());
    }
    publish(&house, "kills", kill.to_str().unwrap());
    let running = |house: &TestHouse, handler: &str| {
        let handler = house.handler(&format!("misbehaving.{handler}"));
        handler["running"].as_u64().unwrap()
    };
    for _ in 0..2 {
        eventually("all five run", || {
            (running(&house, "waits") + running(&house, "kills") == 5).then_some(())
        });
        std::fs::write(&kill, "").unwrap();
        house.dies();
        std::fs::remove_file(&kill).unwrap();
        house.start();
    }
    // Each of them may be what killed it twice: they are tried one at a time.
    std::fs::write(&go, "").unwrap();
    eventually("its turn comes", || {
        (running(&house, "kills") == 1).then_some(())
    });
    std::fs::write(&kill, "").unwrap();
    house.dies();
    house.start();
    let letter = dead_letter(&house, "kills");
    assert_eq!(letter["failure"]["kind"], "poison", "{letter}");
    let chain = letter["failure"]["chain"].to_string();
    assert!(chain.contains("3 attempts"), "{chain}");
    eventually("the others are acked", || {
        let acked = "/api/v1/messages?type=org.example.misbehave.waits.v1&state=acked";
        (house.list(acked).len() == 4).then_some(())
    });
    the_fine_handler_keeps_its_pace(&house);
    house.log().until("died while deliveries ran", 3);
    house.expect_dead_letters(1);
}
