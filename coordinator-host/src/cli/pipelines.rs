//! `coordinator pipelines`: which there are, and running one with its steps shown.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Body, CallError, Client, Problem};
use super::exit::{Failure, OK, USAGE};
use super::options::{Format, Options};
use super::{input, output};

/// Looks at pipelines and runs them, through the host's API.
#[derive(Debug, Subcommand)]
pub(crate) enum Pipelines {
    /// Lists pipelines and their steps; those in brackets are asked at once.
    List,
    /// Runs a public pipeline: its value on standard output, its steps on standard error.
    Run {
        /// Such as `org.example.order.history.v1`.
        name: String,
        /// What it is given: JSON, @FILE, or - for standard input.
        #[arg(
            long,
            value_name = "JSON",
            default_value = "{}",
            hide_default_value = true
        )]
        input: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Pipeline>,
}

#[derive(Deserialize)]
struct Pipeline {
    name: String,
    public: bool,
    ready: bool,
    deadline_ms: u64,
    steps: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Ran {
    value: Box<RawValue>,
    partial: Vec<Missing>,
    halted_by: Option<String>,
    steps: Vec<Step>,
    took_us: u64,
}

#[derive(Deserialize)]
struct Missing {
    step: String,
    reason: String,
}

#[derive(Deserialize)]
struct Step {
    step: String,
    outcome: String,
    took_us: u64,
    error: Option<String>,
}

/// The input is not JSON. What was found is not repeated.
#[derive(Debug, thiserror::Error)]
#[error(
    "the input is not JSON\n  (give --input JSON, --input @FILE, or --input - and standard input)"
)]
struct NotJson(#[source] serde_json::Error);

impl Pipelines {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
            Self::Run { name, input } => run(name, input, options),
        }
    }
}

fn list(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["pipelines"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Answer { items } = reply.read()?;
    let rows = items.into_iter().map(|pipeline| {
        let state = if pipeline.ready { "ready" } else { "waiting" };
        let stages = pipeline.steps.iter().map(|stage| match stage.as_slice() {
            [one] => one.clone(),
            group => format!("[{}]", group.join(", ")),
        });
        [
            pipeline.name,
            state.to_owned(),
            if pipeline.public { "yes" } else { "no" }.to_owned(),
            format!("{} ms", pipeline.deadline_ms),
            stages.collect::<Vec<_>>().join(" \u{2192} "),
        ]
    });
    output::table(
        ["PIPELINE", "STATE", "PUBLIC", "DEADLINE", "STEPS"],
        rows,
        "the wiring has no pipeline",
    )?;
    Ok(OK)
}

fn run(name: &str, given: &str, options: &Options) -> Result<u8, Failure> {
    let text = input::text(given)?;
    serde_json::from_str::<Value>(&text).map_err(|error| Failure::new(USAGE, NotJson(error)))?;
    let reply = match ask(&options.client()?, name, text) {
        Ok(reply) => reply,
        Err(error) => {
            if let (CallError::Refused(problem), Format::Table) = (&error, options.output) {
                show(&of_refusal(problem))?;
            }
            return Err(error.into());
        }
    };
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let ran: Ran = reply.read()?;
    show(&ran.steps)?;
    for Missing { step, reason } in &ran.partial {
        output::note(&format!("missing: {step}: {reason}"))?;
    }
    let ended = match &ran.halted_by {
        Some(step) => format!("`{step}` ended it"),
        None => "done".to_owned(),
    };
    output::note(&format!("{ended} in {}", time(ran.took_us)))?;
    output::line(ran.value.get())?;
    Ok(OK)
}

fn ask(client: &Client, name: &str, text: String) -> Result<super::client::Reply, CallError> {
    let body = Body {
        content_type: "application/json",
        idempotency_key: None,
        text,
    };
    client.post(&["pipelines", name], Some(body))
}

/// The steps up to the one that failed.
fn of_refusal(problem: &Problem) -> Vec<Step> {
    let steps = problem.more.get("steps").cloned().unwrap_or_default();
    serde_json::from_value(steps).unwrap_or_default()
}

fn show(steps: &[Step]) -> Result<(), output::PrintError> {
    let width = |text: fn(&Step) -> usize| steps.iter().map(text).max().unwrap_or(0);
    let (names, outcomes) = (width(|it| it.step.len()), width(|it| it.outcome.len()));
    for step in steps {
        let Step {
            step,
            outcome,
            took_us,
            error,
        } = step;
        let error = error.as_deref().unwrap_or_default();
        let line = format!(
            "{step:names$}  {outcome:outcomes$}  {:>9}  {error}",
            time(*took_us)
        );
        output::note(line.trim_end())?;
    }
    Ok(())
}

fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} \u{b5}s"),
        _ => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    }
}
