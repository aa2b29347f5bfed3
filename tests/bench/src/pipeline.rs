//! A pipeline of five steps from three plugins, against the same five functions called one after the other.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use coordinator_config::{Config, Sources};
use coordinator_context::{PluginStep, RunFor, StepTarget};
use coordinator_dispatch::Pipeline;
use coordinator_wiring::{BoundPipeline, BoundStep, Installed, Wiring};
use serde::{Deserialize, Serialize};

use crate::echo::Echo;

const PAIRS: usize = 9;
const RUNS: u32 = 20_000;
const LOOKS: u32 = 200_000;
const EVENTS: u32 = 20_000_000;
const NAMES: [&str; 3] = ["one", "two", "three"];
const PIPELINE: &str = "org.example.price.v1";

/// The value of the step, as the plugin has it.
#[derive(Serialize, Deserialize)]
struct Price {
    order: String,
    minor: i64,
    by: Vec<u32>,
}

/// What five steps cost beyond twice the native functions, in microseconds.
pub(crate) fn measure(path: &Path) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let echo = runtime.block_on(Echo::start(path, folder.path(), &NAMES))?;
    let steps_of = ["one.add", "two.add", "three.add", "one.add", "two.add"];
    let pipeline = pipeline(&echo, &steps_of)?;
    let mut beyond = Vec::new();
    for pair in 0..=PAIRS {
        let native = micros(native()?);
        let steps = micros(runtime.block_on(steps(&pipeline))?);
        // The first pair warms up.
        if pair > 0 {
            beyond.push(2.0_f64.mul_add(-native, steps));
        }
    }
    Ok(beyond)
}

/// What one look at a flag costs a plugin, in microseconds.
pub(crate) fn flag(path: &Path) -> Result<Vec<f64>> {
    each(path, "one.look", LOOKS)
}

/// What a log event costs a plugin that nobody wants, in microseconds. The host's filter wants none here; which one it
/// is makes no difference to the plugin.
pub(crate) fn disabled_event(path: &Path) -> Result<Vec<f64>> {
    each(path, "one.whisper", EVENTS)
}

/// Of a step that does something so many times: one of them, in microseconds.
fn each(path: &Path, step: &str, times: u32) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let folder = tempfile::tempdir()?;
    let echo = runtime.block_on(Echo::start(path, folder.path(), &NAMES))?;
    let pipeline = pipeline(&echo, &[step])?;
    let input = Bytes::from(format!(r#"{{"order":"BENCH-1","minor":{times},"by":[]}}"#));
    let mut each = Vec::new();
    for _ in 0..PAIRS {
        let ran = runtime.block_on(pipeline.run(input.clone(), RunFor::caller(None)));
        ran.result?;
        each.push(ran.took.as_secs_f64() * 1e6 / f64::from(times));
    }
    Ok(each)
}

/// Of one run, on average.
fn micros(all: Duration) -> f64 {
    all.as_secs_f64() * 1e6 / f64::from(RUNS)
}

fn input() -> Bytes {
    Bytes::from_static(br#"{"order":"BENCH-1","minor":4900,"by":[]}"#)
}

/// From JSON and to JSON once, and the five functions between.
fn native() -> Result<Duration> {
    let began = Instant::now();
    for _ in 0..RUNS {
        let mut price: Price = serde_json::from_slice(&black_box(input()))?;
        for _ in 0..5 {
            price = add(black_box(price));
        }
        black_box(serde_json::to_vec(&price)?);
    }
    Ok(began.elapsed())
}

#[inline(never)]
fn add(mut price: Price) -> Price {
    price.minor += 100;
    price.by.push(1);
    price
}

async fn steps(pipeline: &Pipeline) -> Result<Duration> {
    let began = Instant::now();
    for _ in 0..RUNS {
        let ran = pipeline.run(black_box(input()), RunFor::caller(None)).await;
        black_box(ran.result?);
    }
    Ok(began.elapsed())
}

fn pipeline(echo: &Echo, steps: &[&str]) -> Result<Pipeline> {
    let find = |step: &BoundStep| -> Option<Arc<dyn StepTarget>> {
        let mut plugins = echo.plugins.iter();
        let plugin = plugins.find(|plugin| plugin.name() == step.instance)?;
        let step = PluginStep::new(Arc::clone(plugin), step.id.clone(), step.index?);
        Some(Arc::new(step))
    };
    Ok(Pipeline::new(bound(echo, steps)?, find))
}

fn bound(echo: &Echo, steps: &[&str]) -> Result<BoundPipeline> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("coordinator.toml");
    std::fs::write(
        &file,
        format!("[wiring.pipelines.{PIPELINE:?}]\nsteps = {steps:?}"),
    )?;
    let none = std::iter::empty::<(String, String)>();
    let config = Config::load(&Sources::new(Some(file), none))?;
    // Their routes would be in each other's way under one mount: the pipeline is all that is wanted of them.
    let mut manifest = echo
        .plugins
        .first()
        .context("three run")?
        .manifest()
        .clone();
    manifest.routes.clear();
    let installed = NAMES.map(|name| Installed {
        name,
        mount: "/",
        manifest: &manifest,
    });
    let (mut wiring, _) = Wiring::build(&installed, &[], &config.dispatch, &config.wiring)
        .map_err(|findings| anyhow::anyhow!("the pipeline cannot be wired: {findings:?}"))?;
    Ok(wiring.pipelines.remove(0))
}
