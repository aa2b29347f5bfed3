//! Configurations as operators write them, good and bad.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coordinator_config::{
    ByteSize, Config, ConfigErrors, Durability, Source, Sources, TrustPolicy, reference,
};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A folder with a configuration file, and an environment.
struct Setup {
    folder: TempDir,
    env: Vec<(String, String)>,
}

impl Setup {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("coordinator.toml"), toml).expect("it is writable");
        Self {
            folder,
            env: Vec::new(),
        }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("coordinator.toml")
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(&Sources::new(Some(self.file()), self.env.clone()))
    }

    /// The mistakes as printed, without the folder's name.
    fn mistakes(&self) -> String {
        let text = self.load().expect_err("it has mistakes").to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn without_a_file_everything_has_its_default() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8140");
    assert_eq!(config.server.body_limit, ByteSize::new(1 << 20));
    assert_eq!(config.journal.durability, Durability::Strict);
    assert_eq!(config.journal.retention, Duration::from_secs(7 * 86_400));
    assert_eq!(config.trust.policy, TrustPolicy::Locked);
    assert_eq!(config.dispatch.backoff.to_string(), "2s..15m");
    assert!(config.plugins.is_empty() && config.api_keys.is_empty());
    assert_eq!(config.provenance("server.listen"), Some(Source::Default));
}

#[test]
fn the_environment_is_above_the_file_and_the_file_above_the_defaults() {
    let setup = Setup::new("[server]\nlisten = \"0.0.0.0:1\"\ndrain_timeout = \"5s\"")
        .env("COORDINATOR__SERVER__LISTEN", "0.0.0.0:2")
        .env("COORDINATOR__SERVER__WORKERS", "3")
        .env("COORDINATOR__LOG__REDACT_FIELDS", "phone, city")
        .env("COORDINATOR_URL", "http://not.ours");
    let config = setup.load().unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(5));
    assert_eq!(config.server.workers, 3);
    assert_eq!(config.log.redact_fields, ["phone", "city"]);
    let listen = Source::Env("COORDINATOR__SERVER__LISTEN".to_owned());
    assert_eq!(config.provenance("server.listen"), Some(listen));
    assert_eq!(
        config.provenance("server.drain_timeout"),
        Some(Source::File(setup.file()))
    );
    assert_eq!(config.provenance("server.data_dir"), Some(Source::Default));
    assert_eq!(config.provenance("server.nothing"), None);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let setup = Setup::new(
        r#"
        [servr]
        listen = "0.0.0.0:1"
        [server]
        listn = "0.0.0.0:1"
        body_limit = 1048576
        [journal]
        retention = "0s"
        max_backlog = "many"
        [trust]
        policy = "sealed"
        keys = ["RW", { name = "acme", expires = "next year" }]
        [dispatch]
        threads = 2
        backoff = "15m..2s"
        [dispatch.breaker]
        failures = 0
        panics = 1000
        open_for = "1s, 2s"
        [plugins.LMS]
        path = "x.so"
        [plugins.lms]
        enabled = "yes"
        isolation = "worker"
        mount = "/api/lms"
        settings = 3
        [plugins.pay]
        path = "p.so"
        mount = "pay/"
        [plugins.pay-two]
        path = "p.so"
        mount = "/refunds"
        [plugins.pay-three]
        path = "p.so"
        mount = "/refunds/all"
        [api.keys.shop]
        secret = "correct-horse"
        [api.keys.till]
        [wiring.handlers.lms]
        enabled = true
        [wiring.handlers."lms.enrol"]
        max_attempts = 0
        takes = ["x"]
        backoff = "1s, 0s"
        rate = "0/s"
        order = "strict"
        on_exhausted = "explode"
        breaker = "off"
        "#,
    )
    .env("COORDINATOR__JOURNAL__MAX_SIZE", "900")
    .env("COORDINATOR__EGRES__TIMEOUT", "9s")
    .env("COORDINATOR____X", "9s");
    assert_snapshot!(setup.mistakes());
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_said_to_be_so() {
    let missing = Sources::new(Some(PathBuf::from("/nowhere/coordinator.toml")), []);
    let error = Config::load(&missing).unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/coordinator.toml: not readable: No such file"),
        "{error}"
    );
    let mistakes = Setup::new("[server]\nlisten = \"0.0.0.0:1\"\nlisten = 2\n").mistakes();
    assert!(
        mistakes.contains("coordinator.toml: line 3: not TOML: duplicate key"),
        "{mistakes}"
    );
}

#[test]
fn the_environment_reaches_names_with_dashes_and_handlers() {
    let config = Setup::new("[plugins.legacy-ecommerce]\npath = \"a.so\"")
        .env("COORDINATOR__PLUGINS__LEGACY_ECOMMERCE__ENABLED", "false")
        .env(
            "COORDINATOR__WIRING__HANDLERS__LEGACY_ECOMMERCE__SEND_ORDER__MAX_ATTEMPTS",
            "7",
        )
        .env(
            "COORDINATOR__API__KEYS__WEB_SHOP__SECRET",
            "literal-from-the-environment",
        )
        .load()
        .unwrap();
    assert!(!config.plugins["legacy-ecommerce"].enabled);
    let handler = &config.wiring.handlers["legacy-ecommerce.send_order"];
    assert_eq!((handler.enabled, handler.max_attempts), (true, Some(7)));
    assert_eq!(config.api_keys[0].name, "web-shop");
    assert_eq!(
        config.api_keys[0].secret.expose(),
        "literal-from-the-environment"
    );
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let setup =
        Setup::new("[plugins.lms]\npath = \"lib.so\"\n[plugins.pay]\npath = \"/abs/lib.so\"");
    let config = setup.load().unwrap();
    assert_eq!(config.server.data_dir, setup.folder.path().join("data"));
    assert_eq!(
        config.trust.lock_file,
        setup.folder.path().join("plugins.lock")
    );
    assert_eq!(
        config.plugins["lms"].path,
        setup.folder.path().join("lib.so")
    );
    assert_eq!(config.plugins["lms"].mount, "/lms");
    assert_eq!(config.plugins["pay"].path, Path::new("/abs/lib.so"));
}

const WITH_SECRETS: &str = r#"
    [api.keys.shop]
    secret = "env:SHOP_KEY"
    [plugins.lms]
    path = "lib.so"
    [plugins.lms.settings]
    base_url = "http://user:hunter2@localhost:18000/x"
    token = "env:LMS_TOKEN"
    webhook_key = ["file:key.txt", "literal-key"]
    label = "env:not-followed"
    pin = "9999"
    since = 2026-01-02
    nested = { depth = 2, ratio = 0.5 }
"#;

#[test]
fn secrets_are_fetched_where_they_are_declared_and_nowhere_else() {
    let setup = Setup::new(WITH_SECRETS)
        .env("SHOP_KEY", "shop-secret")
        .env("LMS_TOKEN", "0042")
        .env("COORDINATOR__PLUGINS__LMS__SETTINGS__RETRIES", "3")
        .env("COORDINATOR__PLUGINS__LMS__SETTINGS__ACCOUNT", "007");
    std::fs::write(setup.folder.path().join("key.txt"), "from-file\n").unwrap();
    let config = setup.load().unwrap();
    assert_eq!(config.api_keys[0].secret.expose(), "shop-secret");
    let settings = config
        .plugin_settings("lms", &["token", "webhook_key"])
        .unwrap();
    assert_eq!(
        settings.expose(),
        serde_json::json!({
            "base_url": "http://user:hunter2@localhost:18000/x",
            "token": "0042",
            "webhook_key": ["from-file", "literal-key"],
            "label": "env:not-followed",
            "pin": "9999",
            "since": "2026-01-02",
            "nested": { "depth": 2, "ratio": 0.5 },
            "retries": 3,
            "account": "007",
        })
    );
    let keys: Vec<_> = settings
        .secrets("webhook_key")
        .iter()
        .map(|secret| secret.expose().to_owned())
        .collect();
    assert_eq!(keys, ["from-file", "literal-key"]);
    assert!(!format!("{settings:?} {config:?}").contains("literal-key"));
}

#[test]
fn a_secret_that_is_not_there_is_named_with_its_key() {
    let setup = Setup::new(WITH_SECRETS)
        .env("SHOP_KEY", "")
        .env("LMS_TOKEN", "t");
    assert_snapshot!(setup.mistakes(), @r"
    invalid configuration
      coordinator.toml: api.keys.shop.secret: the secret in `SHOP_KEY` is empty
    ");
    let config = Setup::new(WITH_SECRETS)
        .env("SHOP_KEY", "x")
        .load()
        .unwrap();
    let error = config
        .plugin_settings("lms", &["token", "webhook_key"])
        .unwrap_err();
    let keys: Vec<_> = error
        .errors()
        .iter()
        .map(|error| error.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "plugins.lms.settings.token",
            "plugins.lms.settings.webhook_key"
        ]
    );
    assert_eq!(
        error.errors()[0].problem,
        "the environment variable `LMS_TOKEN` is not set"
    );
}

#[test]
fn what_is_shown_tells_no_secret() {
    let config = Setup::new(WITH_SECRETS)
        .env("SHOP_KEY", "shop-secret")
        .load()
        .unwrap();
    let entries = config.entries_masking(|key| key == "plugins.lms.settings.pin");
    let shown: Vec<String> = entries
        .iter()
        .filter(|entry| entry.source != Source::Default)
        .map(|entry| format!("{} = {}", entry.key, entry.value))
        .collect();
    assert_snapshot!(shown.join("\n"), @r#"
    api.keys.shop.secret = "env:SHOP_KEY"
    plugins.lms.path = "lib.so"
    plugins.lms.settings.base_url = "http://…@localhost:18000/x"
    plugins.lms.settings.label = "env:not-followed"
    plugins.lms.settings.nested.depth = 2
    plugins.lms.settings.nested.ratio = 0.5
    plugins.lms.settings.pin = Secret(…)
    plugins.lms.settings.since = "2026-01-02"
    plugins.lms.settings.token = "env:LMS_TOKEN"
    plugins.lms.settings.webhook_key = ["file:key.txt", Secret(…)]
    "#);
    let enabled = entries
        .iter()
        .find(|entry| entry.key == "plugins.lms.enabled")
        .unwrap();
    assert_eq!(
        (enabled.value.as_str(), &enabled.source),
        ("true", &Source::Default)
    );
    assert_eq!(enabled.doc, "Whether it is loaded.");
}

/// The documented example of a setting, or its default, as a file that holds nothing else.
fn with_every_documented_setting() -> String {
    let mut toml = String::new();
    for setting in reference() {
        let key = setting
            .key
            .replace("NAME", "name")
            .replace("INSTANCE.HANDLER", "name.handler")
            .replace("TYPE.V1", "org.example.history.v1")
            .replace("INSTANCE.FLAG", "name.flag");
        let value = setting.default.or(setting.example).unwrap_or_default();
        toml.push_str(&format!("{key} = {}\n", value.replace("/NAME", "/name")));
    }
    toml
}

#[test]
fn every_setting_that_is_documented_is_read() {
    // Unknown settings are mistakes, so what is documented is read.
    let setup = Setup::new(&with_every_documented_setting()).env("COORDINATOR_KEY", "k");
    let config = setup.load().unwrap();
    assert_eq!(config.wiring.handlers["name.handler"].concurrency, Some(32));
    for setting in reference() {
        assert!(setting.doc.len() > 10, "`{}` needs a comment", setting.key);
    }
}

#[test]
fn every_setting_that_is_read_is_documented() {
    for table in [
        "server",
        "journal",
        "journal.redis",
        "trust",
        "log",
        "dispatch",
        "dispatch.breaker",
        "egress",
        "egress.breaker",
        "plugins.NAME",
        "api.keys.NAME",
        "wiring.handlers.\"INSTANCE.HANDLER\"",
        "wiring.schedules.NAME",
        "wiring.pipelines.\"TYPE.V1\"",
    ] {
        let documented = reference();
        let mut documented: Vec<_> = documented
            .iter()
            .filter_map(|setting| setting.key.strip_prefix(&format!("{table}.")))
            // A table within it counts once; it is looked at by itself.
            .map(|key| key.split('.').next().unwrap_or(key))
            .collect();
        // A table within it is asked for as a whole.
        for setting in &mut documented {
            *setting = setting.split('.').next().unwrap();
        }
        documented.sort_unstable();
        documented.dedup();
        // The hint for an unknown setting lists what was asked for.
        let table = table
            .replace("NAME", "name")
            .replace("INSTANCE.HANDLER", "name.handler")
            .replace("TYPE.V1", "org.example.history.v1");
        let mistakes = Setup::new(&format!("{table}.zzzzzzzzzz = 1")).mistakes();
        let (_, known) = mistakes.split_once("(known here: ").unwrap();
        let (known, _) = known.split_once(')').unwrap();
        let mut known: Vec<_> = known.split(", ").collect();
        known.sort_unstable();
        assert_eq!(known, documented, "[{table}]");
    }
}
