//! `webhook sign` and `verify`: what one makes the other takes, and nothing else.

use crate::run::{coordinator, end, folder};

/// A key as Standard Webhooks writes them; `stripe` takes any text.
const CONFIG: &str = r#"{"secret": "whsec_c2VjcmV0IGtleSBvZiB0aGUgdGVzdHM="}"#;
const OTHER: &str = r#"{"secrets": ["whsec_YW5vdGhlciBrZXkgb2YgdGhlIHRlc3Rz"]}"#;

fn arguments<'a>(verb: &'a str, scheme: &'a str, config: &'a str, now: &'a str) -> [&'a str; 8] {
    [
        "webhook", verb, "--scheme", scheme, "--config", config, "--now", now,
    ]
}

#[test]
fn a_signed_webhook_is_verified_until_it_is_too_old() {
    let folder = folder();
    for scheme in ["stripe", "standard_webhooks"] {
        let sign = arguments("sign", scheme, CONFIG, "1700000000");
        let request = folder.run_with(&sign, r#"{"id": "evt_1"}"#).exits(0).out;
        let verify =
            |config, now| folder.run_with(&arguments("verify", scheme, config, now), &request);

        let verified = verify(CONFIG, "1700000300").exits(0);
        assert!(
            verified.out.starts_with(&format!("verified {scheme} ")),
            "{verified:#?}"
        );
        let late = verify(CONFIG, "1700000301").exits(1);
        assert!(late.err.contains("301 s old"), "{late:#?}");
        let other = verify(OTHER, "1700000000").exits(1);
        assert!(other.err.contains("no signature matches"), "{other:#?}");

        let mut changed: serde_json::Value = serde_json::from_str(&request).unwrap();
        changed["body"] = r#"{"id": "evt_2"}"#.into();
        let input = changed.to_string();
        folder
            .run_with(&arguments("verify", scheme, CONFIG, "1700000000"), &input)
            .exits(1);
    }
}

#[test]
fn header_names_are_found_in_any_case() {
    let folder = folder();
    let request = folder
        .run_with(&arguments("sign", "stripe", CONFIG, "1000"), "{}")
        .exits(0)
        .out;
    let request = request.replace("stripe-signature", "Stripe-Signature");
    folder
        .run_with(&arguments("verify", "stripe", CONFIG, "1000"), &request)
        .exits(0);
}

#[test]
fn wrong_usage_exits_with_64_and_repeats_no_secret() {
    let folder = folder();
    let unknown = folder
        .run_with(&arguments("verify", "paypal", "{}", "1000"), "{}")
        .exits(64);
    assert!(
        unknown.err.contains("unknown webhook scheme `paypal`"),
        "{unknown:#?}"
    );
    for config in [
        "hunter2",
        r#"{"secret": 7, "x": "hunter2"}"#,
        r#"{"hunter2": 1}"#,
    ] {
        let ended = folder
            .run_with(&arguments("verify", "stripe", config, "1000"), "{}")
            .exits(64);
        assert!(!ended.err.contains("hunter2"), "{ended:#?}");
    }
    let no_request = folder
        .run_with(&arguments("verify", "stripe", CONFIG, "1000"), "[")
        .exits(64);
    assert!(
        no_request.err.contains("standard input is not a request"),
        "{no_request:#?}"
    );
}

#[test]
fn its_config_is_not_taken_for_the_path_of_a_configuration() {
    let mut command = coordinator();
    command
        .args(arguments("sign", "stripe", CONFIG, "1000"))
        .env("COORDINATOR_CONFIG", "missing.toml");
    end(&mut command, "{}").exits(0);
}
