//! Terms of handlers: who says them, who wins, and what makes no sense.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

use std::time::Duration;

use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_wiring::{Finding, HandlerTerms, Installed, OnExhausted, Order, Wiring};
use serde_json::{Value, json};

const PAID: &str = "org.example.order.paid.v1";

/// What a plugin with one handler of `terms`, of a type with or without a key, says of itself.
fn manifest(terms: Value, key: Option<&str>) -> Manifest {
    let mut handler = json!({"name": "enrol", "doc": "Enrols.", "type": PAID});
    let table = handler.as_object_mut().unwrap();
    table.extend(terms.as_object().unwrap().clone());
    let mut message = json!({"type": PAID, "doc": "Paid.", "lane": "orders", "schema": true});
    if let Some(key) = key {
        message["key"] = json!(key);
    }
    serde_json::from_value(json!({
        "name": "lms", "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "messages": [message], "handlers": [handler], "routes": [],
    }))
    .unwrap()
}

/// The operator's word, as it is in the environment.
fn operator(settings: &[(&str, &str)]) -> Config {
    let variable = |(name, value): &(&str, &str)| {
        let name = format!("COORDINATOR__WIRING__HANDLERS__LMS__ENROL__{name}");
        (name, (*value).to_owned())
    };
    let plugin = (
        "COORDINATOR__PLUGINS__LMS__PATH".to_owned(),
        "x.so".to_owned(),
    );
    let env = settings.iter().map(variable).chain([plugin]);
    Config::load(&Sources::new(None, env)).unwrap()
}

fn build(manifest: &Manifest, config: &Config) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
    let installed = Installed {
        name: "lms",
        mount: "/lms",
        manifest,
    };
    Wiring::build(&[installed], &[], &config.dispatch, &config.wiring)
}

fn terms(author: Value, settings: &[(&str, &str)]) -> HandlerTerms {
    let built = build(&manifest(author, Some("order")), &operator(settings));
    let (wiring, _) = built.map_err(|findings| format!("{findings:?}")).unwrap();
    wiring.handlers[0].terms.clone()
}

fn seconds(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

#[test]
fn an_older_plugin_that_says_nothing_of_newer_terms_has_the_hosts() {
    let terms = terms(json!({"max_attempts": 8}), &[]);
    let expected = HandlerTerms {
        max_attempts: 8,
        ..HandlerTerms::default()
    };
    assert_eq!(terms, expected);
}

#[test]
fn the_author_comes_before_the_host_and_the_operator_before_both() {
    let author = json!({
        "backoff_ms": [1000, 300_000], "backoff_waits_ms": [1000, 10_000, 300_000],
        "rate": [100, 1000], "order": "key", "on_exhausted": "hold-key",
    });
    let of_author = terms(author.clone(), &[]);
    assert_eq!(of_author.backoff_waits, seconds(&[1, 10, 300]));
    assert_eq!(of_author.rate.unwrap().to_string(), "100/s");
    assert_eq!(
        (of_author.order, of_author.on_exhausted),
        (Order::Key, OnExhausted::HoldKey)
    );
    assert!(of_author.breaker.is_some());

    let settings = [
        ("BACKOFF", "2s..15m"),
        ("RATE", "30/m"),
        ("ON_EXHAUSTED", "dead-letter-key"),
        ("BREAKER", "false"),
    ];
    let of_operator = terms(author, &settings);
    assert!(of_operator.backoff_waits.is_empty());
    assert_eq!(of_operator.backoff_max, Duration::from_secs(900));
    assert_eq!(of_operator.rate.unwrap().to_string(), "30/m");
    assert_eq!(
        (of_operator.order, of_operator.on_exhausted),
        (Order::Key, OnExhausted::DeadLetterKey)
    );
    assert_eq!(of_operator.breaker, None);
}

#[test]
fn a_handler_knows_the_lane_of_its_type() {
    let manifest = manifest(json!({}), None);
    let (wiring, findings) = build(&manifest, &operator(&[])).unwrap();
    assert!(wiring.handlers[0].lanes.values().flatten().eq(["orders"]));
    assert_eq!(findings, []);
}

#[test]
fn an_end_about_the_key_without_order_names_the_setting() {
    let config = operator(&[("ON_EXHAUSTED", "hold-key")]);
    let findings = build(&manifest(json!({}), Some("order")), &config).unwrap_err();
    assert_eq!(
        findings[0].to_string(),
        "error[exhausted-without-order] wiring.handlers.\"lms.enrol\".on_exhausted: `hold-key` is about the \
         messages of one key, and the handler keeps no order\n  (set `order = \"key\"` beside it, or \
         `on_exhausted = \"dead-letter\"`)"
    );
}

#[test]
fn a_term_that_this_host_does_not_know_is_refused_and_not_ignored() {
    let newer = manifest(json!({"order": "partition"}), Some("order"));
    let findings = build(&newer, &operator(&[])).unwrap_err();
    assert_eq!(findings[0].id, "unknown-term");
    assert_eq!(
        findings[0].message,
        "its `order` is `partition`, which this host does not know"
    );
}

#[test]
fn order_of_messages_without_a_key_and_types_that_nobody_handles_are_warned_of() {
    let manifest = manifest(json!({"order": "key"}), None);
    let (_, findings) = build(&manifest, &operator(&[])).unwrap();
    assert_eq!(findings[0].id, "order-without-key");
    let (_, findings) = build(&manifest, &operator(&[("ENABLED", "false")])).unwrap();
    assert_eq!(
        (&*findings[0].id, findings[0].subject.as_str()),
        ("type-without-handler", PAID)
    );
}
