//! Changes that cannot be: each says why, and everything is as it was.

use coordinator_tests::TestHouse;

use crate::stage::{file, happen, house, plugin, run, threads_of_plugins, until_retired, version};

/// Nothing of the change is there: the same version answers, in the same generation, under the same revision.
#[track_caller]
fn changes_nothing(house: &TestHouse, arguments: &[&str], says: &[&str]) {
    let generation = |house: &TestHouse| plugin(house, "changing")["generation"].clone();
    let revision = |house: &TestHouse| house.get("/api/v1/wiring")["revision"].clone();
    let before = (version(house), generation(house), revision(house));
    let refused = run(house, arguments).exits(1);
    for text in says {
        assert!(refused.err.contains(text), "`{text}`: {}", refused.err);
    }
    assert_eq!((version(house), generation(house), revision(house)), before);
    happen(house, 1).is(202);
    house.until_settled("changing.note");
}

#[test]
fn a_version_that_fails_or_panics_at_its_start_or_is_not_well_leaves_the_old_one_serving() {
    let house = house("");
    let second = file(&house, "changed");
    run(&house, &["plugin", "list"]).exits(0);
    for (setting, says) in [
        ("start=fail", "told to fail"),
        ("start=panic", "told to panic"),
        ("ill=true", "it started and is not well: told to be ill"),
    ] {
        let upgrade = [
            "plugin",
            "upgrade",
            "changing",
            &second,
            "--setting",
            setting,
        ];
        changes_nothing(
            &house,
            &upgrade,
            &["plugin `changing` does not run as changed", says],
        );
        let set = ["settings", "set", "changing", setting];
        changes_nothing(&house, &set, &[says]);
    }
    until_retired(&house);
    assert_eq!(
        threads_of_plugins(&house),
        1,
        "what did not start left no thread"
    );
}

#[test]
fn a_version_that_does_not_take_what_was_published_is_refused_with_the_field() {
    let house = house("");
    let third = file(&house, "changed_too_much");
    changes_nothing(
        &house,
        &["plugin", "upgrade", "changing", &third],
        &[
            "incompatible-schema",
            "org.example.change.happened.v1",
            "reason",
            "3.0.0",
        ],
    );
    // A field that may be left out is no such thing.
    run(
        &house,
        &["plugin", "upgrade", "changing", &file(&house, "changed")],
    )
    .exits(0);
    assert_eq!(version(&house), "2.0.0");
}

#[test]
fn files_that_are_no_plugins_and_settings_that_do_not_fit_are_refused_before_anything_starts() {
    let house = house("");
    let text = house.folder().join("not-a-plugin.so");
    std::fs::write(&text, "not a plugin").expect("the folder is writable");
    let text = text.to_string_lossy();
    changes_nothing(
        &house,
        &["plugin", "upgrade", "changing", &text],
        &["not an ELF library"],
    );
    changes_nothing(
        &house,
        &["plugin", "install", &text],
        &["not an ELF library"],
    );
    let second = file(&house, "changed");
    let same_mount = [
        "plugin",
        "install",
        &second,
        "--as",
        "other",
        "--mount",
        "/changing",
    ];
    changes_nothing(&house, &same_mount, &["plugins.other.mount", "overlaps"]);
    let taken = ["plugin", "install", &second, "--as", "changing"];
    changes_nothing(&house, &taken, &["name-taken"]);
    let unknown = [
        "plugin",
        "install",
        &second,
        "--as",
        "other",
        "--setting",
        "wrod=x",
    ];
    changes_nothing(&house, &unknown, &["plugins.other.settings.wrod", "word"]);
    let wrong = ["settings", "set", "changing", "pause_ms=soon"];
    changes_nothing(&house, &wrong, &["plugins.changing.settings.pause_ms"]);
    assert!(plugin(&house, "other").is_null());
}

#[test]
fn a_secret_is_set_by_where_it_is_and_never_shown() {
    let house = house("");
    let literal = ["settings", "set", "changing", "password=hunter2"];
    changes_nothing(
        &house,
        &literal,
        &["plugins.changing.settings.password", "env:VARIABLE"],
    );
    let unset = [
        "settings",
        "set",
        "changing",
        "password=env:NOT_SET_ANYWHERE",
    ];
    changes_nothing(&house, &unset, &["NOT_SET_ANYWHERE"]);
    run(
        &house,
        &["settings", "set", "changing", "password=env:LMS_TOKEN"],
    )
    .exits(0);
    let shown = run(&house, &["settings", "show", "changing"]).exits(0);
    assert!(shown.out.contains("override"), "{}", shown.out);
    let everything = [
        shown.out,
        house.get("/api/v1/settings/changing").to_string(),
        house.get("/api/v1/settings/changing/history").to_string(),
        house.log().lines().join("\n"),
    ];
    for text in everything {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains(coordinator_tests::LMS_TOKEN), "{text}");
    }
}

/// Method and path below `/api/v1`, the body, and the refusal.
const REFUSED: [(&str, &str, &str, u16, &str); 13] = [
    ("POST", "plugins", "{}", 400, "malformed-body"),
    ("POST", "plugins", NOWHERE, 422, "plugin-refused"),
    ("POST", "plugins/nobody/enable", "{}", 404, "no-such-plugin"),
    ("POST", "plugins/changing/dance", "{}", 404, NO_SUCH),
    ("POST", "plugins/changing/enable", "{}", 409, NOTHING),
    ("POST", "plugins/changing/rollback", "", 409, FIRST),
    ("DELETE", "plugins/nobody", "", 404, "no-such-plugin"),
    ("PATCH", "wiring", NO_CHANGE, 422, "invalid-change"),
    ("PATCH", "wiring", HOSTS_OWN, 422, "invalid-change"),
    ("PATCH", "wiring", NO_KEY, 422, "invalid-configuration"),
    ("PATCH", "settings/nobody", OF_WIRING, 404, "no-such-plugin"),
    (
        "PATCH",
        "settings/changing",
        OF_WIRING,
        422,
        "invalid-change",
    ),
    ("POST", "wiring/revert", TO_COME, 404, "no-such-revision"),
];
const NO_SUCH: &str = "no-such-resource";
const NOTHING: &str = "nothing-to-change";
const FIRST: &str = "no-earlier-version";
const NOWHERE: &str = r#"{"source": "/nowhere.so"}"#;
const NO_CHANGE: &str = r#"{"changes": {}}"#;
const HOSTS_OWN: &str = r#"{"changes": {"server.listen": "x"}}"#;
const NO_KEY: &str = r#"{"changes": {"wiring..x": 1}}"#;
const OF_WIRING: &str = r#"{"changes": {"wiring.handlers.\"changing.note\".timeout": "10s"}}"#;
const TO_COME: &str = r#"{"revision": 4000000}"#;

#[test]
fn what_is_malformed_or_unknown_is_answered_with_4xx_and_a_reason() {
    let house = house("");
    for (method, path, body, status, code) in REFUSED {
        let ask = || {
            let ask = house.ask(method, &format!("/api/v1/{path}"));
            ask.header("content-type", "application/json").body(body)
        };
        let answer = ask().key().send();
        let text = answer.text();
        assert_eq!(answer.status, status, "{method} {path}: {text}");
        assert_eq!(answer.problem().0, code, "{method} {path}: {text}");
        let answer = ask().send();
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
    }
    assert_eq!(version(&house), "1.0.0");
}
