//! Tables within tables: the Redis server of the journal, the breaker of egress, and schedules.

use std::time::Duration;

use coordinator_config::{
    Config, ConfigErrors, Engine, Missed, Partial, Payloads, ScheduleData, Source, Sources,
};
use insta::assert_snapshot;

fn load(toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("coordinator.toml");
    std::fs::write(&file, toml).expect("it is writable");
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(&Sources::new(Some(file), env))
}

/// The mistakes, without the folder that the file is in.
fn mistakes(toml: &str) -> String {
    let text = load(toml, &[]).expect_err("it has mistakes").to_string();
    let lines = text
        .lines()
        .map(|line| match line.split_once("coordinator.toml: ") {
            Some((_, mistake)) => mistake,
            None => line.trim(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_journal_in_redis_has_its_server_from_where_secrets_are() {
    let toml = r#"
        [journal]
        engine = "redis"
        payloads = "until-settled"
        retention_size = "1GiB"
        [journal.redis]
        url = "env:REDIS_URL"
        partitions = 4
    "#;
    let url = "rediss://:hunter2@redis.internal/3";
    let config = load(toml, &[("REDIS_URL", url)]).expect("it is right");
    let journal = &config.journal;
    assert_eq!(
        (journal.engine, journal.payloads),
        (Engine::Redis, Payloads::UntilSettled)
    );
    assert_eq!(journal.retention_size.bytes(), 1 << 30);
    assert_eq!(journal.redis.url.as_ref().map(|it| it.expose()), Some(url));
    assert_eq!(
        (journal.redis.prefix.as_str(), journal.redis.partitions),
        ("coordinator", 4)
    );
    assert_eq!(journal.redis.node_timeout, Duration::from_secs(15));
    assert!(!format!("{config:?}").contains("hunter2"));
    let shown = config.entries();
    assert!(shown.iter().all(|entry| !entry.value.contains("hunter2")));
}

#[test]
fn a_server_without_a_password_may_stand_in_the_file() {
    let toml = "[journal.redis]\nurl = \"redis://127.0.0.1:6390\"";
    let config = load(toml, &[]).expect("it is right");
    assert_eq!(config.journal.engine, Engine::Sqlite);
    assert!(
        config.journal.redis.url.is_some(),
        "known, so that a journal can be moved there"
    );
    let from_env = [
        ("COORDINATOR__JOURNAL__ENGINE", "redis"),
        (
            "COORDINATOR__JOURNAL__REDIS__URL",
            "redis://:hunter2@127.0.0.1",
        ),
    ];
    let config = load("", &from_env).expect("it is right");
    assert_eq!(config.journal.engine, Engine::Redis);
    let shown = config.entries();
    assert!(shown.iter().all(|entry| !entry.value.contains("hunter2")));
}

#[test]
fn what_a_journal_cannot_be_is_told_by_key() {
    assert_snapshot!(mistakes(
        r#"
        [journal]
        engine = "redis"
        max_size = "1GiB"
        retention_size = "2GiB"
        payloads = "none"
        [journal.redis]
        prefix = "a b"
        partitions = 0
        node_timeout = "10ms"
        [egress.breaker]
        failures = 0
        open_for = "2m, 3m"
    "#
    ));
    assert_snapshot!(mistakes(
        r#"
        [journal.redis]
        url = "redis://user:hunter2@redis.internal/3"
    "#
    ));
}

#[test]
fn the_database_is_a_file_in_the_data_folder_unless_another_is_named() {
    let url = |toml: &str, env: &[(&str, &str)]| {
        let config = load(toml, env).expect("it is right");
        config.database.url.expose().to_owned()
    };
    let unnamed = url("[server]\ndata_dir = \"/var/lib/shop\"", &[]);
    assert_eq!(unnamed, "sqlite:///var/lib/shop/coordinator.db");
    // As every path of the file: from the file's own folder.
    let relative = url("[database]\nurl = \"sqlite://kept/shop.db\"", &[]);
    assert!(
        relative.starts_with("sqlite:///") && relative.ends_with("/kept/shop.db"),
        "{relative}"
    );
    let server = "mysql://shop:hunter2@db.internal/shop";
    let named = "[database]\nurl = \"env:DATABASE_URL\"";
    assert_eq!(url(named, &[("DATABASE_URL", server)]), server);
    let config = load(named, &[("DATABASE_URL", server)]).expect("it is right");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.cache.url.expose(), "memory:");
    assert_eq!(config.cache.max_size.bytes(), 64 << 20);
}

#[test]
fn what_a_database_or_a_cache_cannot_be_is_told_by_key_and_without_a_password() {
    let told = mistakes(
        r#"
        [database]
        url = "mysql://shop:hunter2@db.internal/shop"
        max_connections = 1
        timeout = "0s"
        [cache]
        url = "memcached://cache.internal"
        prefix = "a:b"
        max_size = "1KiB"
    "#,
    );
    for line in [
        "database.url: a password does not belong in a configuration file",
        "database.max_connections: expected at least 2, found 1",
        "database.timeout: expected more than zero, found \"0s\"",
        "cache.url: expected \"memory:\" or \"redis://…\"",
        "cache.prefix: expected 1 to 64 letters, digits, dashes and dots, found \"a:b\"",
        "cache.max_size: expected at least 1MiB, found \"1KiB\"",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let other = [(
        "COORDINATOR__DATABASE__URL",
        "postgres://shop:hunter2@db.internal/shop",
    )];
    let told = load("", &other).expect_err("no such database").to_string();
    assert!(
        told.contains("expected \"sqlite://PATH\" or \"mysql://…\""),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn three_quarters_of_the_journal_may_be_settled_messages() {
    let config = load("[journal]\nmax_size = \"400MiB\"", &[]).expect("it is right");
    assert_eq!(config.journal.retention_size.bytes(), 300 << 20);
}

#[test]
fn a_schedule_says_when_and_what_and_has_defaults_for_the_rest() {
    let toml = r#"
        [wiring.handlers."lms.enrol"]
        max_attempts = 3
        [wiring.schedules.nightly]
        cron = "0 3 * * *"
        zone = "Europe/Berlin"
        type = "org.example.report.due.v1"
        data = { kind = "sales", days = 7 }
        missed = "all"
        [wiring.schedules.hourly]
        cron = "0 * * * *"
        type = "org.example.report.due.v1"
        data_file = "report.json"
    "#;
    let env = [("COORDINATOR__WIRING__SCHEDULES__HOURLY__ENABLED", "false")];
    let config = load(toml, &env).expect("it is right");
    let nightly = &config.wiring.schedules["nightly"];
    assert_eq!(
        (nightly.cron.as_str(), nightly.zone.as_str()),
        ("0 3 * * *", "Europe/Berlin")
    );
    assert_eq!((nightly.enabled, nightly.missed), (true, Missed::All));
    let ScheduleData::Here(data) = &nightly.data else {
        panic!("it is in the configuration");
    };
    assert_eq!(data.to_string(), r#"{"days":7,"kind":"sales"}"#);
    let hourly = &config.wiring.schedules["hourly"];
    assert_eq!((hourly.enabled, hourly.missed), (false, Missed::One));
    assert_eq!(hourly.zone, "UTC");
    assert!(matches!(&hourly.data, ScheduleData::File(path) if path.ends_with("report.json")));
    assert_eq!(
        config.provenance("wiring.schedules.hourly.zone"),
        Some(Source::Default)
    );
    // The defaults of one kind of table do not take those of the other away.
    assert!(config.wiring.handlers["lms.enrol"].enabled);
}

#[test]
fn what_a_schedule_cannot_be_is_told_by_key() {
    assert_snapshot!(mistakes(
        r#"
        [wiring.schedules.Nightly]
        cron = 3
        data = 5
        missed = "some"
        [wiring.schedules.both]
        cron = "0 3 * * *"
        type = "org.example.report.due.v1"
        data = { kind = "sales" }
        data_file = "report.json"
        zones = "UTC"
    "#
    ));
}

#[test]
fn a_pipeline_is_a_list_of_steps_and_of_groups_that_are_asked_at_once() {
    let toml = r#"
        [wiring.pipelines."org.example.order.history.v1"]
        steps = ["legacy.orders", ["lms.courses", { step = "shop.orders", timeout = "800ms" }]]
        partial = "state"
        public = true
    "#;
    let config = load(toml, &[]).expect("it is right");
    let history = &config.wiring.pipelines["org.example.order.history.v1"];
    let stages: Vec<Vec<&str>> = history
        .stages
        .iter()
        .map(|stage| stage.0.iter().map(|step| step.step.as_str()).collect())
        .collect();
    assert_eq!(
        stages,
        [vec!["legacy.orders"], vec!["lms.courses", "shop.orders"]]
    );
    let timeout = history.stages[1].0[1].timeout;
    assert_eq!(timeout, Some(std::time::Duration::from_millis(800)));
    assert_eq!(history.partial, Partial::State);
    assert!(history.enabled && history.public);
    assert_eq!(history.deadline.as_secs(), 15);
}

#[test]
fn what_a_pipeline_cannot_be_is_told_by_key() {
    let told = mistakes(
        r#"
        [wiring.pipelines.history]
        steps = ["legacy.orders"]
        [wiring.pipelines."org.example.none.v1"]
        [wiring.pipelines."org.example.empty.v1"]
        steps = []
        [wiring.pipelines."org.example.odd.v1"]
        steps = [{ step = "lms.orders", retries = 3 }]
        partial = "maybe"
        deadline = "0s"
    "#,
    );
    for line in [
        "wiring.pipelines.history: expected a name in quotes with a version",
        "wiring.pipelines.\"org.example.none.v1\".steps: missing, expected a list of steps",
        "wiring.pipelines.\"org.example.empty.v1\".steps: expected a list of steps",
        "wiring.pipelines.\"org.example.odd.v1\".steps: expected a list of steps",
        "wiring.pipelines.\"org.example.odd.v1\".partial: expected \"fail\" or \"state\"",
        "wiring.pipelines.\"org.example.odd.v1\".deadline: expected more than zero",
    ] {
        assert!(told.contains(line), "{line} is not in:\n{told}");
    }
}

#[test]
fn flags_are_switched_by_instance_and_name() {
    let env = [("COORDINATOR__FLAGS__LEGACY_LMS__NEW_CHECKOUT", "false")];
    let config = load("[flags]\n\"shop.fast\" = true", &env).expect("it is right");
    assert!(config.flags["shop.fast"]);
    assert!(!config.flags["legacy-lms.new_checkout"]);
    let told = mistakes("[flags]\nfast = true\n\"shop.fast\" = \"yes\"");
    assert!(
        told.contains("flags.fast: expected a flag in quotes"),
        "{told}"
    );
    assert!(
        told.contains("flags.\"shop.fast\": expected `true` or `false`"),
        "{told}"
    );
}

#[test]
fn every_layer_that_says_something_of_a_table_is_known_but_for_the_defaults() {
    let key = "wiring.handlers.\"lms.enrol\"";
    let toml = format!("[{key}]\ntimeout = \"5s\"");
    let config = load(&toml, &[]).expect("it is right");
    let is_file = |source: &Source| matches!(source, Source::File(_));
    let [file] = &config.said_by(key)[..] else {
        panic!("the file says it, and nobody else");
    };
    assert!(is_file(file));
    assert_eq!(config.said_by("server"), []);
    let set = [(format!("{key}.max_attempts"), 3.into())];
    let config = config.with_overrides(set.into()).expect("it fits");
    let said = config.said_by(key);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(is_file) && said.contains(&Source::Override));
    assert_eq!(config.said_by("wiring.handlers.\"lms.refund\""), []);
}
