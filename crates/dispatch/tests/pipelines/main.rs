//! Pipelines over steps that answer as a test says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_context::{
    PipelineRun, Pipelines as _, RouteFailed, Run, RunError, RunFor, StepOutcome, StepReply,
    StepTarget, Stepping,
};
use coordinator_dispatch::{Pipeline, PipelineTable};
use coordinator_wiring::{BoundPipeline, BoundStep, Installed, Wiring};
use serde_json::{Value, json};

const HISTORY: &str = "org.example.order.history.v1";

/// What a step of the test does with its value.
#[derive(Clone)]
enum Does {
    /// Appends its own name to `by`.
    Signs,
    Halts,
    Fails(u16),
    Panics,
    Hangs(Arc<AtomicUsize>),
    Garbles,
    Runs(Weak<PipelineTable>),
}

struct Step(String, Does);

impl StepTarget for Step {
    fn take(&self, value: Bytes, run: &Run, _: Duration) -> Stepping {
        let (name, does, run) = (self.0.clone(), self.1.clone(), run.clone());
        Box::pin(async move {
            match does {
                Does::Signs => StepReply::Continue(signed(&value, &name)),
                Does::Halts => StepReply::Halt(signed(&value, &name)),
                Does::Fails(status) => StepReply::Failed(failed(status)),
                Does::Panics => StepReply::Panicked(vec!["boom at src/lib.rs:1".to_owned()]),
                Does::Garbles => StepReply::Continue(Bytes::from_static(b"{")),
                Does::Hangs(running) => {
                    let _running = Running::new(running);
                    std::future::pending().await
                }
                Does::Runs(table) => {
                    let table = table.upgrade().unwrap();
                    let deeper = run.run_for.deeper();
                    match table.run(HISTORY, value, deeper).await.result {
                        Ok(answered) => StepReply::Continue(answered.value),
                        Err(error) => StepReply::Failed(error.into_failed()),
                    }
                }
            }
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn signed(value: &[u8], name: &str) -> Bytes {
    let mut value: Value = serde_json::from_slice(value).unwrap();
    let by = value["by"].as_array_mut().unwrap();
    by.push(json!(name));
    value.to_string().into()
}

fn failed(status: u16) -> RouteFailed {
    RouteFailed {
        status,
        code: "lms-down".to_owned(),
        detail: "the LMS does not answer".to_owned(),
        after: Some(Duration::from_secs(7)),
        chain: vec!["GET /orders: connection refused".to_owned()],
    }
}

/// Binds `steps` (TOML) of plugins `a`, `b` and `c`, each of which has the steps `one` and `two`.
fn bound(steps: &str, more: &str) -> BoundPipeline {
    let toml = format!("[wiring.pipelines.\"{HISTORY}\"]\nsteps = {steps}\n{more}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("coordinator.toml");
    std::fs::write(&file, toml).unwrap();
    let none = std::iter::empty::<(String, String)>();
    let config = Config::load(&Sources::new(Some(file), none)).unwrap();
    let step =
        |name| json!({"name": name, "doc": "", "pipeline": HISTORY, "input": true, "output": true});
    let manifest: Manifest = serde_json::from_value(json!({
        "name": "orders", "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "messages": [], "handlers": [], "routes": [],
        "steps": [step("one"), step("two")],
    }))
    .unwrap();
    let installed = ["a", "b", "c"].map(|name| Installed {
        name,
        mount: "/",
        manifest: &manifest,
    });
    let wiring = Wiring::build(&installed, &[], &config.dispatch, &config.wiring);
    let (mut wiring, _) = wiring.map_err(|it| format!("{it:?}")).unwrap();
    wiring.pipelines.remove(0)
}

/// A table with that pipeline; what `does` leaves out signs.
fn table(steps: &str, more: &str, does: &[(&str, Does)]) -> Arc<PipelineTable> {
    let table = PipelineTable::default();
    let target = |step: &BoundStep| -> Option<Arc<dyn StepTarget>> {
        let does = does.iter().find(|(id, _)| *id == step.id);
        let does = does.map_or(Does::Signs, |(_, does)| does.clone());
        Some(Arc::new(Step(step.id.clone(), does)))
    };
    table.replace([Pipeline::new(bound(steps, more), target)]);
    Arc::new(table)
}

async fn run(table: &PipelineTable) -> PipelineRun {
    let input = Bytes::from_static(br#"{"user":"ada","by":[]}"#);
    table.run(HISTORY, input, RunFor::caller(None)).await
}

/// It took so long, and not much longer: the next longer time that could have ended it is five seconds.
fn within(ran: &PipelineRun, millis: u128) -> bool {
    (millis..millis + 3_000).contains(&ran.took.as_millis())
}

fn by(ran: &PipelineRun) -> Value {
    let answered = ran.result.as_ref().unwrap();
    serde_json::from_slice::<Value>(&answered.value).unwrap()["by"].clone()
}

fn outcomes(ran: &PipelineRun) -> Vec<(&str, StepOutcome)> {
    let steps = ran.steps.iter();
    steps.map(|step| (&*step.step, step.outcome)).collect()
}

#[tokio::test]
async fn steps_run_in_order_each_with_what_the_one_before_it_made() {
    let table = table(r#"["b.one", "a.one", "c.two"]"#, "", &[]);
    let ran = run(&table).await;
    assert_eq!(by(&ran), json!(["b.one", "a.one", "c.two"]));
    let continued = StepOutcome::Continued;
    let expected = ["b.one", "a.one", "c.two"].map(|step| (step, continued));
    assert_eq!(outcomes(&ran), expected);
}

#[tokio::test]
async fn a_step_may_end_the_pipeline_with_its_answer() {
    let table = table(
        r#"["a.one", "b.one", "c.one"]"#,
        "",
        &[("b.one", Does::Halts)],
    );
    let ran = run(&table).await;
    assert_eq!(by(&ran), json!(["a.one", "b.one"]));
    let answered = ran.result.as_ref().unwrap();
    assert_eq!(answered.halted_by.as_deref(), Some("b.one"));
    assert_eq!(ran.steps.len(), 2, "`c.one` was not asked");
}

#[tokio::test]
async fn a_step_that_fails_or_panics_fails_the_pipeline_and_what_it_said_is_passed_on() {
    let failing = table(
        r#"["a.one", "b.one", "c.one"]"#,
        "",
        &[("b.one", Does::Fails(503))],
    );
    let ran = run(&failing).await;
    assert_eq!(ran.steps.len(), 2);
    assert_eq!(ran.steps[1].chain, ["GET /orders: connection refused"]);
    let error = ran.result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `b.one` failed: the LMS does not answer"
    );
    let failed = error.into_failed();
    assert_eq!((failed.status, failed.code.as_str()), (503, "lms-down"));
    assert_eq!(failed.after, Some(Duration::from_secs(7)));

    let refusing = table(r#"["a.one"]"#, "", &[("a.one", Does::Fails(422))]);
    assert_eq!(
        outcomes(&run(&refusing).await),
        [("a.one", StepOutcome::Refused)]
    );

    let panicking = table(r#"["a.one", "b.one"]"#, "", &[("a.one", Does::Panics)]);
    let ran = run(&panicking).await;
    assert!(matches!(&ran.result, Err(RunError::Panicked(step)) if &**step == "a.one"));
    assert_eq!(outcomes(&ran), [("a.one", StepOutcome::Panicked)]);
}

#[tokio::test]
async fn a_step_that_hangs_is_given_up_at_its_timeout_and_dropped() {
    let running = Arc::new(AtomicUsize::new(0));
    let steps = r#"["a.one", { step = "b.one", timeout = "80ms" }, "c.one"]"#;
    let table = table(steps, "", &[("b.one", Does::Hangs(Arc::clone(&running)))]);
    let ran = run(&table).await;
    assert!(within(&ran, 80));
    assert!(matches!(&ran.result, Err(RunError::TimedOut { step, .. }) if &**step == "b.one"));
    assert_eq!(running.load(Ordering::SeqCst), 0, "it was cancelled");
    assert_eq!(ran.result.unwrap_err().into_failed().status, 504);
}

#[tokio::test]
async fn the_deadline_of_the_whole_leaves_a_step_no_more_than_what_is_left() {
    let running = Arc::new(AtomicUsize::new(0));
    let hangs = Does::Hangs(running);
    let table = table(
        r#"["a.one", "b.one"]"#,
        "deadline = \"90ms\"",
        &[("b.one", hangs)],
    );
    let ran = run(&table).await;
    assert!(within(&ran, 90), "not the step's own five seconds");
    assert!(matches!(ran.result, Err(RunError::TimedOut { .. })));
}

#[tokio::test]
async fn a_group_is_asked_at_once_and_put_together_in_the_order_of_the_wiring() {
    let table = table(r#"[["c.one", "a.one"], "b.one"]"#, "", &[]);
    assert_eq!(by(&run(&table).await), json!(["c.one", "a.one", "b.one"]));
    // Both hang: they wait together, not one after the other.
    let hangs = || Does::Hangs(Arc::default());
    let both = [("c.one", hangs()), ("a.one", hangs())];
    let slow = self::table(r#"[["c.one", "a.one"]]"#, "timeout = \"400ms\"", &both);
    let ran = run(&slow).await;
    assert!(within(&ran, 400) && ran.took.as_millis() < 800);
    assert_eq!(ran.steps.len(), 2);
}

#[tokio::test]
async fn a_partial_result_is_stated_where_the_operator_allows_it_and_else_it_is_none() {
    let hangs = || [("a.one", Does::Hangs(Arc::default()))];
    let steps = r#"[["b.one", "a.one", "c.one"], "b.two"]"#;
    let stated = table(steps, "partial = \"state\"\ntimeout = \"60ms\"", &hangs());
    let ran = run(&stated).await;
    assert_eq!(by(&ran), json!(["b.one", "c.one", "b.two"]));
    let missing = &ran.result.as_ref().unwrap().missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(&*missing[0].step, "a.one");
    assert_eq!(
        missing[0].reason,
        "step `a.one` did not answer within 60 ms"
    );

    let closed = table(steps, "timeout = \"60ms\"", &hangs());
    assert!(matches!(
        run(&closed).await.result,
        Err(RunError::TimedOut { .. })
    ));

    let all = ["b.one", "a.one", "c.one"].map(|step| (step, Does::Fails(503)));
    let none = table(steps, "partial = \"state\"", &all);
    assert!(
        run(&none).await.result.is_err(),
        "of nothing there is no part"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_no_answer() {
    let table = table(r#"[["a.one", "b.one"]]"#, "", &[("b.one", Does::Garbles)]);
    let error = run(&table).await.result.unwrap_err();
    assert_eq!(error.to_string(), "what step `b.one` answered is not JSON");
}

#[tokio::test]
async fn pipelines_that_run_each_other_in_a_circle_end() {
    let table = Arc::new_cyclic(|weak| {
        let table = PipelineTable::default();
        let circle = bound(r#"["a.one"]"#, "");
        let target = |step: &BoundStep| -> Option<Arc<dyn StepTarget>> {
            let does = Does::Runs(Weak::clone(weak));
            Some(Arc::new(Step(step.id.clone(), does)))
        };
        table.replace([Pipeline::new(circle, target)]);
        table
    });
    let ran = run(&table).await;
    let error = ran.result.unwrap_err().into_failed();
    assert_eq!(error.code, "pipeline-too-deep");
    assert!(
        error.chain[0].contains("more than 8 deep"),
        "{:?}",
        error.chain
    );
}

#[tokio::test]
async fn a_run_that_has_begun_ends_with_the_steps_it_began_with() {
    let table = table(r#"["a.one", "b.one"]"#, "", &[]);
    let begun = table.run(
        HISTORY,
        Bytes::from_static(br#"{"by":[]}"#),
        RunFor::caller(None),
    );
    table.replace([]);
    let ran = begun.await;
    assert_eq!(by(&ran), json!(["a.one", "b.one"]));
    let gone = run(&table).await.result.unwrap_err();
    assert!(matches!(gone, RunError::Unknown(name) if name == HISTORY));
}

#[tokio::test]
async fn a_step_whose_plugin_does_not_run_says_so() {
    let table = PipelineTable::default();
    table.replace([Pipeline::new(bound(r#"["a.one"]"#, ""), |_| None)]);
    assert!(!table.list()[0].ready);
    let error = run(&table).await.result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `a.one` cannot be asked: its plugin does not run"
    );
    assert_eq!(error.into_failed().status, 503);
}
