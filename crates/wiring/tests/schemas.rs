//! One type as several plugins declare it: who takes it must accept what those allow who publish it.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_wiring::{Finding, Installed, Severity, Wiring};
use serde_json::{Value, json};

const PAID: &str = "org.example.order.paid.v1";

fn manifest(schema: Value, handles: bool) -> Manifest {
    let handler = json!({"name": "enrol", "doc": "Enrols.", "type": PAID});
    serde_json::from_value(json!({
        "name": "p", "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "routes": [],
        "messages": [{"type": PAID, "doc": "Paid.", "schema": schema}],
        "handlers": if handles { json!([handler]) } else { json!([]) },
    }))
    .unwrap()
}

fn paid(fields: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": fields, "required": required})
}

fn build(shop: &Manifest, lms: &Manifest) -> Result<Vec<Finding>, Vec<Finding>> {
    let none = std::iter::empty::<(String, String)>();
    let config = Config::load(&Sources::new(None, none)).unwrap();
    let installed = [("shop", shop), ("lms", lms)].map(|(name, manifest)| Installed {
        name,
        mount: "/",
        manifest,
    });
    let built = Wiring::build(&installed, &[], &config.dispatch, &config.wiring);
    built.map(|(_, findings)| findings)
}

#[test]
fn a_field_that_its_handler_needs_and_its_publisher_may_leave_out_is_named_before_the_start() {
    let text = json!({"type": "string"});
    let shop = manifest(paid(json!({"order": text}), &["order"]), false);
    let lms = paid(
        json!({"order": text, "learner": text}),
        &["order", "learner"],
    );
    let findings = build(&shop, &manifest(lms, true)).unwrap_err();
    let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "error[type-schema] org.example.order.paid.v1: shop \u{2192} lms: what `shop` publishes, `lms` does not take: \
          `/learner`: is required and never given\n  (declare the type once, in a crate that both plugins use)"
        ]
    );
}

#[test]
fn a_handler_that_reads_less_than_is_published_fits() {
    let text = json!({"type": "string"});
    let shop = paid(json!({"order": text, "note": text}), &["order"]);
    let lms = paid(json!({"order": text}), &["order"]);
    assert_eq!(
        build(&manifest(shop, false), &manifest(lms, true)),
        Ok(Vec::new())
    );
}

#[test]
fn what_cannot_be_compared_is_a_warning() {
    let odd = json!({"allOf": [{"type": "object"}]});
    let shop = manifest(json!({"type": "object"}), false);
    let findings = build(&shop, &manifest(odd, true)).unwrap();
    let told: Vec<_> = findings.iter().map(|it| (&*it.id, it.severity)).collect();
    assert_eq!(told, [("type-schema-unknown", Severity::Warning)]);
}
