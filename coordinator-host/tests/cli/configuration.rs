//! `config` and `check`: what a configuration says, and what is wrong with it.

use crate::run::folder;

const WITH_SECRETS: &str = r#"
[api.keys.shop]
secret = "file:api.key"

[plugins.lms]
path = "liblms.so"

[plugins.lms.settings]
base_url = "http://user:swordfish@lms.test"
token = "tr0ub4dor"
"#;

#[test]
fn every_mistake_of_a_configuration_is_told_at_once_and_exits_with_78() {
    let folder = folder().with(
        "coordinator.toml",
        "[server]\nlisten = \"nowhere\"\n[journal]\nretention = 7\n[jurnal]\n",
    );
    for command in [
        &["config", "validate"][..],
        &["config", "show"],
        &["check"],
        &["serve"],
    ] {
        let ended = folder.run(command).exits(78);
        for mistake in ["server.listen", "journal.retention", "jurnal"] {
            assert!(ended.err.contains(mistake), "{mistake}: {ended:#?}");
        }
        assert_eq!(ended.err.matches("error: ").count(), 1, "{ended:#?}");
    }
}

#[test]
fn without_a_configuration_the_error_says_how_to_begin() {
    for command in [
        &["serve"][..],
        &["check"],
        &["config", "show"],
        &["plugin", "lock"],
    ] {
        let ended = folder().run(command).exits(78);
        assert!(
            ended.err.contains("there is no `coordinator.toml`"),
            "{ended:#?}"
        );
        assert!(ended.err.contains("--config PATH"), "{ended:#?}");
    }
}

#[test]
fn a_named_configuration_is_read_wherever_the_option_stands() {
    let folder = folder().with("other.toml", "[journal]\nretention = \"3d\"\n");
    for command in [
        &["--config", "other.toml", "config", "show"][..],
        &["config", "show", "--config", "other.toml"],
    ] {
        let shown = folder.run(command).exits(0).out;
        let line = shown
            .lines()
            .find(|line| line.starts_with("journal.retention"));
        assert!(
            line.is_some_and(|line| line.ends_with("other.toml")),
            "{shown}"
        );
    }
    let missing = folder
        .run(&["config", "show", "--config", "missing.toml"])
        .exits(78);
    assert!(missing.err.contains("missing.toml"), "{missing:#?}");
}

#[test]
fn shown_configuration_masks_secrets() {
    let folder = folder()
        .with("coordinator.toml", WITH_SECRETS)
        .with("api.key", "hunter2");
    for output in ["table", "json"] {
        let shown = folder.run(&["config", "show", "--output", output]).exits(0);
        for secret in ["hunter2", "swordfish", "tr0ub4dor"] {
            assert!(!shown.out.contains(secret), "{secret}: {}", shown.out);
        }
        assert!(shown.out.contains("Secret(…)"), "{}", shown.out);
    }
}

#[test]
fn the_reference_explains_a_section_and_corrects_a_mistyped_one() {
    let folder = folder();
    let journal = folder
        .run(&["config", "reference", "journal", "--output", "json"])
        .exits(0)
        .json();
    let settings = journal.as_array().expect("a list");
    assert!(
        settings
            .iter()
            .all(|setting| setting["key"].as_str().unwrap().starts_with("journal."))
    );
    let own = folder
        .run(&[
            "config",
            "reference",
            "wiring.handlers.\"lms.enrol\".timeout",
        ])
        .exits(0);
    assert!(
        own.out.contains("How long one attempt may take."),
        "{}",
        own.out
    );
    let mistyped = folder.run(&["config", "reference", "jornal"]).exits(64);
    assert!(
        mistyped.err.contains("did you mean `journal`?"),
        "{mistyped:#?}"
    );
}

#[test]
fn a_check_exits_with_70_for_a_file_that_is_no_plugin_and_0_without_findings() {
    let refused = folder()
        .with("coordinator.toml", "[plugins.lms]\npath = \"liblms.so\"\n")
        .with("liblms.so", "text");
    let ended = refused.run(&["check"]).exits(70);
    assert!(ended.out.contains("error[plugin] lms"), "{ended:#?}");
    let json = refused.run(&["check", "--format", "json"]).exits(70).json();
    assert_eq!(json["plugins"][0]["ok"], false, "{json}");

    let good = folder().with("coordinator.toml", "");
    assert_eq!(
        good.run(&["check"]).exits(0).out,
        "plugins: 0, refused: 0, findings: 0\n"
    );
}

#[test]
fn a_check_exits_with_1_if_the_wiring_names_what_is_not_there() {
    let folder = folder().with(
        "coordinator.toml",
        "[wiring.handlers.\"lms.enrol\"]\ntimeout = \"5s\"\n",
    );
    let json = folder.run(&["check", "--format", "json"]).exits(1).json();
    assert_eq!(json["findings"][0]["severity"], "error", "{json}");
}
