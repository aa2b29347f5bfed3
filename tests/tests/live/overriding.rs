//! Wiring and settings, set over the configuration file: with history, revert, and a refusal of what was not seen.

use serde_json::{Value, json};

use crate::stage::{file, happen, house, metric, plugin, run, version};
use coordinator_tests::{Answer, TestHouse, built, eventually};

fn set(house: &TestHouse, path: &str, changes: Value, revision: Option<u64>) -> Answer {
    let ask = house.ask("PATCH", path).key();
    let ask = match revision {
        Some(revision) => ask.header("if-match", &format!("\"{revision}\"")),
        None => ask,
    };
    ask.json(&json!({"changes": changes, "comment": "the test asks for it"}))
        .send()
}

#[test]
fn terms_and_mounts_are_set_shown_and_reverted_while_messages_flow() {
    let house = house("");
    let before = house.get("/api/v1/wiring")["revision"]
        .as_u64()
        .expect("a number");
    let wanted = [
        "wiring",
        "set",
        "changing.note.max_attempts=3",
        "changing.note.timeout=7s",
    ];
    run(&house, &wanted).exits(0);
    let terms = house.handler("changing.note")["terms"].clone();
    assert_eq!(
        (&terms["max_attempts"], &terms["timeout_ms"]),
        (&json!(3), &json!(7000))
    );
    run(&house, &["wiring", "set", "changing.mount=/moved"]).exits(0);
    house.ask("GET", "/changing/version").send().is(404);
    house.ask("GET", "/moved/version").send().is(200);
    // No plugin was opened anew for it.
    assert_eq!(plugin(&house, "changing")["generation"], 1);
    run(&house, &["wiring", "set", "changing.note.enabled=false"]).exits(0);
    house
        .ask("POST", "/moved/happen")
        .json(&json!({"number": 1}))
        .send()
        .is(202);
    assert_eq!(house.handler("changing.note")["lag"], 1);
    let shown = run(&house, &["wiring", "show"]).exits(0).out;
    assert!(shown.contains("/moved/version"), "{shown}");
    assert!(shown.contains("plugins.changing.mount"), "{shown}");

    let back = before.to_string();
    run(&house, &["wiring", "revert", &back, "--yes"]).exits(0);
    assert_eq!(version(&house), "1.0.0");
    house.until_settled("changing.note");
    assert_eq!(house.handler("changing.note")["terms"]["max_attempts"], 20);
    let history = run(&house, &["wiring", "history"]).exits(0).out;
    for text in ["wiring.set", "wiring.revert", "max_attempts", "key:tests"] {
        assert!(history.contains(text), "{text}: {history}");
    }
}

#[test]
fn a_change_of_settings_opens_a_new_generation_of_the_same_file_and_its_revert_another() {
    let house = house("");
    let start = house.get("/api/v1/settings/changing")["revision"]
        .as_u64()
        .expect("a number");
    run(&house, &["settings", "set", "changing", "word=one"]).exits(0);
    assert_eq!(version(&house), "1.0.0 one");
    run(
        &house,
        &[
            "settings",
            "set",
            "changing",
            "word=two",
            "--comment",
            "better",
        ],
    )
    .exits(0);
    assert_eq!(version(&house), "1.0.0 two");
    assert_eq!(plugin(&house, "changing")["generation"], 3);
    let mapped = house.get("/api/v1/plugins")["mapped_files"].clone();
    assert_eq!(mapped, 1, "one file is mapped once");
    let start = start.to_string();
    run(&house, &["settings", "revert", "changing", &start, "--yes"]).exits(0);
    assert_eq!(version(&house), "1.0.0");
    let history = run(&house, &["settings", "history", "changing"])
        .exits(0)
        .out;
    assert!(
        history.contains("better") && history.contains("\"two\""),
        "{history}"
    );
    run(&house, &["settings", "set", "changing", "word=three"]).exits(0);
    run(&house, &["settings", "set", "changing", "--unset", "word"]).exits(0);
    assert_eq!(version(&house), "1.0.0");
    happen(&house, 1).is(202);
    house.until_settled("changing.note");
}

#[test]
fn a_word_that_could_be_json_is_text_where_the_plugin_takes_text() {
    let house = house("");
    let set = |pair: &str| run(&house, &["settings", "set", "changing", pair]);
    for (pair, said) in [
        ("word=12345", "12345"),
        ("word=true", "true"),
        ("word=1.10", "1.10"),
        ("plugins.changing.settings.word=007", "007"),
        ("word=\"in JSON's quotes\"", "in JSON's quotes"),
    ] {
        set(pair).exits(0);
        assert_eq!(version(&house), format!("1.0.0 {said}"), "{pair}");
    }
    set("pause_ms=1").exits(0);
    let refused = set("pause_ms=soon").exits(1).err;
    assert!(
        refused.contains("plugins.changing.settings.pause_ms"),
        "{refused}"
    );
}

#[test]
fn a_setting_that_a_plugin_does_not_have_is_refused_also_while_it_is_switched_off() {
    let house = house("");
    let set = |pair: &str| run(&house, &["settings", "set", "changing", pair]);
    let running = set("wrod=one").exits(1).err;
    run(&house, &["plugin", "disable", "changing", "--yes"]).exits(0);
    let disabled = set("wrod=one").exits(1).err;
    for refused in [&running, &disabled] {
        assert!(
            refused.contains("plugins.changing.settings.wrod")
                && refused.contains("did you mean `word`?"),
            "{refused}"
        );
    }
    assert_eq!(running, disabled);
    let shown = run(&house, &["settings", "show", "changing"]).exits(0).out;
    assert!(shown.contains("Said by the route `/version`"), "{shown}");
    set("word=later").exits(0);
    run(&house, &["plugin", "enable", "changing"]).exits(0);
    assert_eq!(version(&house), "1.0.0 later");
}

#[test]
fn a_change_for_a_revision_that_is_over_is_refused_and_changes_nothing() {
    let house = house("");
    let seen = house
        .ask("GET", "/api/v1/settings/changing")
        .key()
        .send()
        .is(200);
    let tag = seen.header("etag").expect("it has one").to_owned();
    let revision = seen.json()["revision"].as_u64().expect("a number");
    assert_eq!(tag, format!("\"{revision}\""));
    let path = "/api/v1/settings/changing";
    let first = set(&house, path, json!({"word": "one"}), Some(revision)).is(200);
    assert_eq!(first.json()["revision"], revision + 1);
    let (code, detail) = set(&house, path, json!({"word": "two"}), Some(revision))
        .is(412)
        .problem();
    assert_eq!(code, "revision-conflict");
    assert!(
        detail.contains(&format!("revision {}", revision + 1)),
        "{detail}"
    );
    assert_eq!(version(&house), "1.0.0 one");
}

#[test]
fn a_wiring_that_does_not_fit_is_refused_as_a_whole_with_every_mistake() {
    let house = house("");
    let changes = json!({
        "wiring.handlers.\"changing.note\".max_attempts": 5,
        "wiring.handlers.\"changing.note\".timeout": "soon",
        "wiring.handlers.\"changing.note\".concurrency": 0,
    });
    let (_, detail) = set(&house, "/api/v1/wiring", changes, None)
        .is(422)
        .problem();
    assert!(
        detail.contains("timeout") && detail.contains("concurrency"),
        "{detail}"
    );
    let nobody = json!({"wiring.handlers.\"changing.nto\".max_attempts": 5});
    let (_, detail) = set(&house, "/api/v1/wiring", nobody, None)
        .is(422)
        .problem();
    assert!(detail.contains("changing.note"), "{detail}");
    assert_eq!(house.handler("changing.note")["terms"]["max_attempts"], 20);
    assert_eq!(house.get("/api/v1/wiring")["overrides"], json!({}));
}

#[test]
fn a_pipeline_is_put_together_and_reordered_while_the_host_runs_and_an_unknown_step_is_refused() {
    const PRICE: &str = "org.example.basket.price.v1";
    let house = house("");
    let example = built("libpipeline.so").to_string_lossy().into_owned();
    run(&house, &["plugin", "install", &example, "--as", "basket"]).exits(0);
    let of = |key: &str, value: &str| format!("wiring.pipelines.\"{PRICE}\".{key}={value}");
    let ask = || {
        let basket = json!({
            "lines": [{"sku": "course", "count": 2, "minor": 2_450}], "voucher": null, "minor": null,
        });
        house
            .ask("POST", &format!("/api/v1/pipelines/{PRICE}"))
            .key()
            .json(&basket)
            .send()
    };
    let did = |answer: Answer| -> Vec<String> {
        let answer = answer.is(200).json();
        let steps = answer["steps"].as_array().expect("a list").clone();
        let step = |step: &Value| step["step"].as_str().expect("a name").to_owned();
        steps.iter().map(step).collect()
    };
    let all = of(
        "steps",
        r#"["basket.lines", "basket.voucher", "basket.tax"]"#,
    );
    run(&house, &["wiring", "set", &all, &of("public", "true")]).exits(0);
    assert_eq!(did(ask()), ["basket.lines", "basket.voucher", "basket.tax"]);
    let other = of(
        "steps",
        r#"["basket.voucher", "basket.lines", "basket.tax"]"#,
    );
    run(&house, &["wiring", "set", &other]).exits(0);
    assert_eq!(did(ask()), ["basket.voucher", "basket.lines", "basket.tax"]);
    let unknown = of("steps", r#"["basket.lines", "basket.taxx"]"#);
    let refused = run(&house, &["wiring", "set", &unknown]).exits(1);
    assert!(refused.err.contains("basket.tax"), "{}", refused.err);
    // A plugin that the wiring needs is not taken away under it.
    let needed = run(&house, &["plugin", "uninstall", "basket", "--yes"]).exits(1);
    assert!(needed.err.contains("basket.voucher"), "{}", needed.err);
    assert_eq!(did(ask()), ["basket.voucher", "basket.lines", "basket.tax"]);
}

#[test]
fn a_handler_is_bound_to_another_type_and_back_and_not_to_what_it_cannot_read() {
    let house = house("");
    let example = built("libpipeline.so").to_string_lossy().into_owned();
    run(&house, &["plugin", "install", &example, "--as", "basket"]).exits(0);
    run(
        &house,
        &[
            "plugin",
            "install",
            &file(&house, "misbehaving"),
            "--as",
            "other",
        ],
    )
    .exits(0);
    let on = |types: Value| {
        let changes = json!({"wiring.handlers.\"changing.note\".on": types});
        set(&house, "/api/v1/wiring", changes, None)
    };
    // Its messages have a number; those have an id.
    let (_, detail) = on(json!(["org.example.misbehave.fine.v1"]))
        .is(422)
        .problem();
    assert!(
        detail.contains("type-schema") && detail.contains("number"),
        "{detail}"
    );
    let (_, detail) = on(json!(["org.example.change.hapened.v1"]))
        .is(422)
        .problem();
    assert!(
        detail.contains("did you mean `org.example.change.happened.v1`?"),
        "{detail}"
    );
    on(json!([])).is(422);
    // A handler that takes anything with an id takes the others' too.
    let changes = json!({"wiring.handlers.\"other.fine\".on":
        ["org.example.misbehave.flaky.v1", "org.example.misbehave.fine.v1"]});
    set(&house, "/api/v1/wiring", changes, None).is(200);
    let publish = |what: &str| {
        let path = format!("/other/publish/{what}");
        house
            .ask("POST", &path)
            .json(&json!({"id": "1"}))
            .send()
            .is(202)
    };
    publish("flaky");
    publish("fine");
    for handler in ["other.fine", "other.flaky"] {
        house.until_settled(handler);
    }
    until_acked(&house, 2);
    run(&house, &["wiring", "set", "--unset", "other.fine.on"]).exits(0);
    publish("flaky");
    publish("fine");
    for handler in ["other.fine", "other.flaky"] {
        house.until_settled(handler);
    }
    until_acked(&house, 3);
}

/// So often did `other.fine` ack: counted a moment after it is settled.
#[track_caller]
fn until_acked(house: &TestHouse, times: u64) {
    let acked = "coordinator_deliveries_total{handler=\"other.fine\",outcome=\"acked\"} ";
    eventually("it is counted", || {
        (metric(house, acked) == times).then_some(())
    });
}

#[test]
fn a_handler_is_given_every_message_that_comes_after_the_answer_which_bound_it_also_while_it_runs()
{
    let mut house = house("");
    let plugin = file(&house, "misbehaving");
    run(&house, &["plugin", "install", &plugin, "--as", "other"]).exits(0);
    let waits = "other.never_completes";
    let terms = ["timeout=2s", "max_attempts=1"].map(|term| format!("{waits}.{term}"));
    run(&house, &["wiring", "set", &terms[0], &terms[1]]).exits(0);
    let publish = |what: &str| {
        let ask = house.ask("POST", &format!("/other/publish/{what}"));
        ask.json(&json!({"id": what})).send().is(202)
    };
    publish("never_completes");
    eventually("it runs", || {
        (house.handler(waits)["running"] == 1).then_some(())
    });
    let changes = json!({format!("wiring.handlers.\"{waits}\".on"):
        ["org.example.misbehave.never_completes.v1", "org.example.misbehave.fine.v1"]});
    set(&house, "/api/v1/wiring", changes, None).is(200);
    publish("fine");
    for handler in [waits, "other.fine"] {
        house.until_settled(handler);
    }
    let dead = house.dead_letters();
    let keys: Vec<&Value> = dead
        .iter()
        .map(|letter| &letter["message"]["key"])
        .collect();
    assert_eq!(keys, ["never_completes", "fine"], "it was given both");
    house.expect_dead_letters(2);
}
