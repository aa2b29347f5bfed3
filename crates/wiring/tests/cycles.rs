//! What leads back to itself is found, as far as authors declare what handlers and steps lead to.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_wiring::{EdgeKind, Finding, Graph, Installed, Severity, Wiring};
use serde_json::{Value, json};

const ASKED: &str = "org.example.asked.v1";
const TOLD: &str = "org.example.told.v1";
const FIRST: &str = "org.example.first.v1";
const SECOND: &str = "org.example.second.v1";

/// A plugin with these handlers and steps, which knows both types.
fn plugin(handlers: Value, steps: Value) -> Manifest {
    let message = |ty: &str| json!({"type": ty, "doc": "", "schema": true});
    serde_json::from_value(json!({
        "name": "shop", "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "messages": [message(ASKED), message(TOLD)], "routes": [],
        "handlers": handlers, "steps": steps,
    }))
    .unwrap()
}

fn handler(name: &str, ty: &str, emits: &[&str], runs: &[&str]) -> Value {
    json!({"name": name, "doc": "", "type": ty, "emits": emits, "runs": runs})
}

fn step(name: &str, pipeline: &str, emits: &[&str], runs: &[&str]) -> Value {
    json!({"name": name, "doc": "", "pipeline": pipeline, "input": true, "output": true,
           "emits": emits, "runs": runs})
}

fn config(toml: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coordinator.toml");
    std::fs::write(&file, toml).unwrap();
    let none = std::iter::empty::<(String, String)>();
    Config::load(&Sources::new(Some(file), none)).unwrap()
}

fn build(manifest: &Manifest, toml: &str) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
    let (config, installed) = (
        config(toml),
        Installed {
            name: "shop",
            mount: "/",
            manifest,
        },
    );
    Wiring::build(&[installed], &[], &config.dispatch, &config.wiring)
}

/// Every circle, as its severity, its subject and what is said of it.
fn circles(built: &Result<(Wiring, Vec<Finding>), Vec<Finding>>) -> Vec<(Severity, &str, &str)> {
    let findings = match built {
        Ok((_, findings)) | Err(findings) => findings,
    };
    let circles = findings.iter().filter(|finding| finding.id == "cycle");
    circles
        .map(|it| (it.severity, it.subject.as_str(), it.message.as_str()))
        .collect()
}

#[test]
fn a_handler_whose_messages_come_back_to_it_is_warned_of_with_the_whole_way() {
    let shop = plugin(
        json!([
            handler("ask", TOLD, &[ASKED], &[]),
            handler("tell", ASKED, &[TOLD], &[])
        ]),
        json!([]),
    );
    let built = build(&shop, "");
    assert!(built.is_ok(), "a broker may go in circles on purpose");
    assert_eq!(
        circles(&built),
        [(
            Severity::Warning,
            "shop.ask",
            "what it emits leads back to it: `shop.ask` → `org.example.asked.v1` → `shop.tell` → \
             `org.example.told.v1` → `shop.ask`"
        )]
    );
    // What operators switch off leads nowhere.
    let built = build(&shop, "[wiring.handlers.\"shop.tell\"]\nenabled = false");
    assert_eq!(circles(&built), []);
}

#[test]
fn a_circle_that_an_operator_closes_is_found_as_well() {
    let shop = plugin(json!([handler("tell", ASKED, &[TOLD], &[])]), json!([]));
    assert_eq!(circles(&build(&shop, "")), []);
    let on = format!("[wiring.handlers.\"shop.tell\"]\non = [\"{ASKED}\", \"{TOLD}\"]");
    let built = build(&shop, &on);
    let told = circles(&built);
    assert_eq!((told.len(), told[0].1), (1, "shop.tell"));
}

#[test]
fn pipelines_that_run_each_other_are_an_error_and_are_told_once() {
    let shop = plugin(
        json!([]),
        json!([
            step("one", FIRST, &[], &[SECOND]),
            step("two", SECOND, &[], &[FIRST])
        ]),
    );
    let pipelines = format!(
        "[wiring.pipelines.\"{FIRST}\"]\nsteps = [\"shop.one\"]\n\
         [wiring.pipelines.\"{SECOND}\"]\nsteps = [\"shop.two\"]"
    );
    let built = build(&shop, &pipelines);
    assert!(built.is_err(), "such a pipeline never answers");
    assert_eq!(
        circles(&built),
        [(
            Severity::Error,
            FIRST,
            "its steps run it again: `org.example.first.v1` → `shop.one` → `org.example.second.v1` → \
             `shop.two` → `org.example.first.v1`"
        )]
    );
    let one = format!("[wiring.pipelines.\"{FIRST}\"]\nsteps = [\"shop.one\"]");
    assert!(build(&shop, &one).is_ok(), "nobody has wired the second");
}

#[test]
fn a_message_that_a_step_publishes_within_a_handler_closes_a_circle_too() {
    let shop = plugin(
        json!([handler("take", ASKED, &[], &[FIRST])]),
        json!([step("one", FIRST, &[ASKED], &[])]),
    );
    let built = build(
        &shop,
        &format!("[wiring.pipelines.\"{FIRST}\"]\nsteps = [\"shop.one\"]"),
    );
    let told = circles(&built);
    assert_eq!(
        (told.len(), told[0].0, told[0].1),
        (1, Severity::Warning, "shop.take")
    );
}

#[test]
fn what_is_declared_is_drawn_and_nothing_is_guessed_beside_it() {
    let shop = plugin(
        json!([handler("tell", ASKED, &[TOLD], &[FIRST])]),
        json!([]),
    );
    let (wiring, _) = build(&shop, "").unwrap();
    let graph = Graph::of(&wiring, &config("").wiring.schedules);
    let edges = |kind: EdgeKind| {
        let edges = graph.edges.iter().filter(move |edge| edge.kind == kind);
        edges
            .map(|edge| (edge.from.as_str(), edge.to.as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        edges(EdgeKind::Emits),
        [("handler:shop.tell", "type:org.example.told.v1")]
    );
    assert_eq!(
        edges(EdgeKind::Runs),
        [("handler:shop.tell", "pipeline:org.example.first.v1")]
    );
    assert_eq!(edges(EdgeKind::MayPublish), []);
}
