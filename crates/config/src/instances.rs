//! The tables that the operator names: API keys, plugins, handlers. Explained in `instances.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::pipelines::{PipelineWiring, is_pipeline};
use crate::reader::Reader;
use crate::schedules::ScheduleWiring;
use crate::secret::Secret;
use crate::value::{Raw, Setting};
use crate::{Backoff, OnExhausted, Order, Rate};

/// Longest name of an instance or key; names go into URLs, logs and the journal.
const MAX_NAME: usize = 64;

/// Paths that are the host's own.
const RESERVED: [&str; 7] = [
    "/api", "/admin", "/livez", "/readyz", "/health", "/metrics", "/ofrep",
];

/// `[api.keys.NAME]`: a key for the HTTP API.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The publisher's name.
    pub name: String,
    /// The key itself.
    pub secret: Secret,
}

/// `[plugins.NAME]`: an installed plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// The instance name.
    pub name: String,
    /// The plugin's file.
    pub path: PathBuf,
    /// Whether it is loaded.
    pub enabled: bool,
    /// Whether the host refuses to start without it.
    pub required: bool,
    /// Path under which its routes are served; starts with `/` and does not end with one.
    pub mount: String,
    /// Where its code runs.
    pub isolation: Isolation,
    /// Hosts it may call beside the origins of its own URL settings.
    pub allow_hosts: Vec<String>,
}

/// Where a plugin's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In the host's process.
    InProcess,
}

/// `[wiring.handlers."INSTANCE.HANDLER"]`: terms of one handler over those of its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerWiring {
    /// Whether messages are delivered to it.
    pub enabled: bool,
    /// The types that it takes, instead of the one that its author declares.
    pub on: Option<Vec<String>>,
    /// Attempts before a dead letter.
    pub max_attempts: Option<u32>,
    /// Waits between attempts.
    pub backoff: Option<Backoff>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Deliveries at once.
    pub concurrency: Option<u32>,
    /// Attempts that may begin within a time, on each node.
    pub rate: Option<Rate>,
    /// Which order messages are delivered in.
    pub order: Option<Order>,
    /// What becomes of a delivery that is given up.
    pub on_exhausted: Option<OnExhausted>,
    /// Whether it has a breaker.
    pub breaker: Option<bool>,
    /// When it runs, of a handler that a plugin's schedule runs.
    pub cron: Option<String>,
    /// The time zone that `cron` is meant in.
    pub zone: Option<String>,
}

/// `[wiring]`: the operator's word on handlers, what the clock publishes, and pipelines.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wiring {
    /// By handler id, `instance.handler`.
    pub handlers: BTreeMap<String, HandlerWiring>,
    /// By their names.
    pub schedules: BTreeMap<String, ScheduleWiring>,
    /// By their names, which are like message types.
    pub pipelines: BTreeMap<String, PipelineWiring>,
}

pub(crate) fn api_keys(from: &Reader<'_>) -> Vec<ApiKey> {
    let keys = from.named("keys", |name, from| {
        if !is_name(name) {
            from.reject_name(NAME_EXPECTED);
        }
        from.secret("secret").map(|secret| ApiKey {
            name: name.to_owned(),
            secret,
        })
    });
    keys.into_iter().filter_map(|(_, key)| key).collect()
}

/// `[flags]`: by `instance.flag`, whether an operator has switched it on or off.
pub(crate) fn flags(from: &Reader<'_>) -> BTreeMap<String, bool> {
    let flags = from.values(
        "flags",
        "a flag in quotes, such as \"lms.new_checkout\"",
        is_id,
    );
    flags.into_iter().collect()
}

pub(crate) fn plugins(from: &Reader<'_>) -> BTreeMap<String, Plugin> {
    let mounts = std::cell::RefCell::new(Vec::<(String, String)>::new());
    let plugins = from.named("plugins", |name, from| {
        let plugin = Plugin::read(name, from);
        if plugin.enabled {
            check_mount(&plugin, &mounts.borrow(), from);
            mounts
                .borrow_mut()
                .push((plugin.mount.clone(), name.to_owned()));
        }
        plugin
    });
    plugins.into_iter().collect()
}

const NAME_EXPECTED: &str =
    "expected a name of lower-case letters, digits and dashes that starts with a letter";

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// `instance.handler`, `instance.flag`.
fn is_id(id: &str) -> bool {
    id.split_once('.').is_some_and(|(instance, name)| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        is_name(instance) && !name.is_empty() && name.bytes().all(plain)
    })
}

impl Plugin {
    fn read(name: &str, from: &Reader<'_>) -> Self {
        if !is_name(name) {
            from.reject_name(NAME_EXPECTED);
        }
        from.free_form("settings");
        Self {
            name: name.to_owned(),
            path: from.path(from.required("path").unwrap_or_default()),
            enabled: from.get_or("enabled", true),
            required: from.get_or("required", false),
            mount: from.optional("mount").unwrap_or_else(|| format!("/{name}")),
            isolation: from.get_or("isolation", Isolation::InProcess),
            allow_hosts: from.get_or("allow_hosts", Vec::new()),
        }
    }
}

fn check_mount(plugin: &Plugin, taken: &[(String, String)], from: &Reader<'_>) {
    let mount = plugin.mount.as_str();
    let segments_are_plain = mount.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
        })
    });
    if !segments_are_plain {
        from.reject(
            "mount",
            "expected a path such as \"/lms\" or \"/pay/stripe\"",
        );
    } else if let Some(reserved) = RESERVED.iter().find(|path| overlaps(mount, path)) {
        from.reject("mount", &format!("`{reserved}` is the host's own"));
    } else if let Some((_, other)) = taken.iter().find(|(path, _)| overlaps(mount, path)) {
        from.reject(
            "mount",
            &format!("overlaps with the mount of plugin `{other}`"),
        );
    }
}

/// Whether one path lies in the other.
fn overlaps(one: &str, other: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(one, other) || inside(other, one)
}

impl Wiring {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let handlers = from.named("handlers", |id, from| {
            if !is_id(id) {
                from.reject_name("expected a handler id in quotes, such as \"lms.enrol\"");
            }
            HandlerWiring::read(from)
        });
        let schedules = from.named("schedules", |name, from| {
            if !is_name(name) {
                from.reject_name(NAME_EXPECTED);
            }
            ScheduleWiring::read(from)
        });
        let pipelines = from.named("pipelines", |name, from| {
            if !is_pipeline(name) {
                from.reject_name(
                    "expected a name in quotes with a version, such as \"org.example.order.history.v1\"",
                );
            }
            PipelineWiring::read(from)
        });
        Self {
            handlers: handlers.into_iter().collect(),
            schedules: schedules.into_iter().collect(),
            pipelines: pipelines.into_iter().collect(),
        }
    }
}

impl HandlerWiring {
    fn read(from: &Reader<'_>) -> Self {
        let timeout: Option<Duration> = from.optional("timeout");
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            from.reject("timeout", "expected more than zero");
        }
        let wiring = Self {
            enabled: from.get_or("enabled", true),
            on: from.optional("on"),
            max_attempts: from.optional("max_attempts"),
            backoff: from.optional("backoff"),
            timeout,
            concurrency: from.optional("concurrency"),
            rate: from.optional("rate"),
            order: from.optional("order"),
            on_exhausted: from.optional("on_exhausted"),
            breaker: from.optional("breaker"),
            cron: from.optional("cron"),
            zone: from.optional("zone"),
        };
        for (name, value) in [
            ("max_attempts", wiring.max_attempts),
            ("concurrency", wiring.concurrency),
        ] {
            if value == Some(0) {
                from.reject(name, "expected at least 1");
            }
        }
        wiring
    }
}

impl Setting for Isolation {
    const EXPECTED: &'static str =
        "\"in-process\" (this version cannot isolate a plugin in a worker process)";

    fn read(raw: Raw<'_>) -> Option<Self> {
        (raw.text()? == "in-process").then_some(Self::InProcess)
    }
}
