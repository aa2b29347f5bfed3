//! Pipelines as an operator writes them, held against the steps that plugins have.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_wiring::{Finding, Installed, Severity, Wiring};
use serde_json::{Value, json};

const HISTORY: &str = "org.example.order.history.v1";

/// A plugin with steps: name, what it takes, what it makes.
fn manifest(steps: &[(&str, Value, Value)]) -> Manifest {
    let steps = steps.iter().map(|(name, input, output)| {
        json!({"name": name, "doc": "Looks up.", "pipeline": HISTORY, "input": input,
               "output": output, "timeout_ms": 700})
    });
    serde_json::from_value(json!({
        "name": "orders", "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "messages": [], "handlers": [], "routes": [],
        "steps": steps.collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn object(fields: &[(&str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({"type": kind})))
        .collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn build(
    plugins: &[(&str, &Manifest)],
    away: &[&str],
    steps: &str,
) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
    let toml = format!("[wiring.pipelines.\"{HISTORY}\"]\n{steps}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coordinator.toml");
    std::fs::write(&file, toml).unwrap();
    let none = std::iter::empty::<(String, String)>();
    let config = Config::load(&Sources::new(Some(file), none)).unwrap();
    let installed: Vec<_> = plugins
        .iter()
        .map(|(name, manifest)| Installed {
            name,
            mount: "/",
            manifest,
        })
        .collect();
    Wiring::build(&installed, away, &config.dispatch, &config.wiring)
}

fn told(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|it| format!("{} {}: {} ({})", it.id, it.subject, it.message, it.hint))
        .collect()
}

#[test]
fn a_step_has_its_operators_timeout_before_its_authors_and_its_pipelines() {
    let lookup = manifest(&[("legacy", json!(true), json!(true))]);
    let steps = r#"steps = ["shop.legacy", { step = "shop.legacy", timeout = "90ms" }]
        public = true"#;
    let (wiring, findings) = build(&[("shop", &lookup)], &[], steps).unwrap();
    assert_eq!(told(&findings), [""; 0]);
    let pipeline = &wiring.pipelines[0];
    let millis: Vec<_> = pipeline
        .steps()
        .map(|step| step.timeout.as_millis())
        .collect();
    assert_eq!(millis, [700, 90]);
    assert!(pipeline.public);
}

#[test]
fn a_step_that_no_plugin_has_is_an_error_with_the_nearest_name() {
    let lookup = manifest(&[("orders", json!(true), json!(true))]);
    let findings = build(&[("shop", &lookup)], &[], r#"steps = ["shop.ordres"]"#).unwrap_err();
    assert_eq!(
        told(&findings)[0],
        "unknown-step wiring.pipelines.\"org.example.order.history.v1\".steps: \
         no loaded plugin has the step `shop.ordres` (did you mean `shop.orders`?)"
    );
}

#[test]
fn a_step_of_a_plugin_that_is_away_waits_for_it() {
    let lookup = manifest(&[("orders", json!(true), json!(true))]);
    let steps = r#"steps = ["shop.orders", "lms.courses"]"#;
    let (wiring, findings) = build(&[("shop", &lookup)], &["lms"], steps).unwrap();
    assert_eq!(told(&findings), [""; 0]);
    let indices: Vec<_> = wiring.pipelines[0].steps().map(|step| step.index).collect();
    assert_eq!(indices, [Some(0), None]);
}

#[test]
fn what_a_step_makes_must_be_what_the_next_one_takes() {
    let user = object(&[("user", "string")]);
    let plugin = manifest(&[
        (
            "find",
            user.clone(),
            object(&[("user", "string"), ("total", "string")]),
        ),
        (
            "sum",
            object(&[("user", "string"), ("total", "integer")]),
            json!(true),
        ),
    ]);
    let findings = build(
        &[("shop", &plugin)],
        &[],
        r#"steps = ["shop.find", "shop.sum"]"#,
    );
    assert_eq!(
        told(&findings.unwrap_err())[0],
        "step-schema org.example.order.history.v1: shop.find → shop.sum: what `shop.find` makes, `shop.sum` does not \
         take: `/total`: may be text, and a whole number is accepted (change the order of the steps, or put one \
         between them that translates)"
    );
}

#[test]
fn what_one_of_a_group_leaves_out_another_may_give() {
    let plugin = manifest(&[
        ("orders", json!(true), object(&[("orders", "array")])),
        ("courses", json!(true), object(&[("courses", "array")])),
        (
            "join",
            object(&[("orders", "array"), ("courses", "array")]),
            json!(true),
        ),
    ]);
    let group = r#"steps = [["shop.orders", "shop.courses"], "shop.join"]"#;
    assert!(build(&[("shop", &plugin)], &[], group).is_ok());
    // What may be missing cannot be asked for.
    let stated = format!("{group}\npartial = \"state\"");
    let findings = build(&[("shop", &plugin)], &[], &stated).unwrap_err();
    assert_eq!(
        findings.iter().filter(|it| it.id == "step-schema").count(),
        2
    );
    assert!(told(&findings)[0].contains("`/courses`: is required and never given"));
}

#[test]
fn a_step_that_nothing_runs_is_a_warning_and_what_cannot_be_compared_too() {
    let odd = json!({"allOf": [{"type": "object"}]});
    let plugin = manifest(&[
        ("one", json!(true), object(&[("user", "string")])),
        ("two", odd, json!(true)),
        ("three", json!(true), json!(true)),
    ]);
    let (_, findings) = build(
        &[("shop", &plugin)],
        &[],
        r#"steps = ["shop.one", "shop.two"]"#,
    )
    .unwrap();
    assert!(findings.iter().all(|it| it.severity == Severity::Warning));
    let ids: Vec<_> = findings
        .iter()
        .map(|it| (&*it.id, it.subject.as_str()))
        .collect();
    assert_eq!(
        ids,
        [
            (
                "step-schema-unknown",
                "org.example.order.history.v1: shop.one → shop.two"
            ),
            ("step-without-pipeline", "shop.three"),
        ]
    );
}

#[test]
fn the_input_of_a_pipeline_is_held_against_what_its_first_steps_take() {
    let plugin = manifest(&[("find", object(&[("user", "string")]), json!(true))]);
    let built = build(&[("shop", &plugin)], &[], r#"steps = ["shop.find"]"#);
    let (wiring, _) = built.unwrap();
    let pipeline = &wiring.pipelines[0];
    assert!(pipeline.check_input(&json!({"user": "ada"})).is_ok());
    let mismatch = pipeline.check_input(&json!({"user": 7})).unwrap_err();
    assert_eq!(
        (mismatch.pointer.as_str(), mismatch.step.as_str()),
        ("/user", "shop.find")
    );
    assert!(!mismatch.to_string().contains('7'), "{mismatch}");
}

#[test]
fn a_schedule_of_a_plugin_is_a_handler_of_a_type_of_its_own() {
    let mut plugin = manifest(&[]);
    plugin.schedules = serde_json::from_value(json!([
        {"name": "nightly", "doc": "Tidies up.", "cron": "0 3 * * *", "zone": "Europe/Berlin", "max_attempts": 4},
        {"name": "hourly", "doc": "Looks.", "cron": "0 * * * *"},
    ]))
    .unwrap();
    let off = "steps = [\"shop.x\"]\nenabled = false\n[wiring.handlers.\"shop.hourly\"]\nenabled = false\n\
               [wiring.handlers.\"shop.nightly\"]\ncron = \"30 4 * * *\"";
    let (wiring, findings) = build(&[("shop", &plugin)], &[], off).unwrap();
    assert_eq!(told(&findings), [""; 0]);
    let [schedule] = wiring.schedules.as_slice() else {
        panic!("one is off: {:?}", wiring.schedules);
    };
    assert_eq!(
        (schedule.cron.as_str(), schedule.zone.as_str()),
        ("30 4 * * *", "Europe/Berlin")
    );
    let [handler] = wiring.handlers.as_slice() else {
        panic!("{:?}", wiring.handlers);
    };
    assert_eq!(
        (handler.id.as_str(), &handler.ty),
        ("shop.nightly", &schedule.ty)
    );
    assert_eq!(
        (handler.terms.max_attempts, handler.terms.concurrency),
        (4, 1)
    );
}
