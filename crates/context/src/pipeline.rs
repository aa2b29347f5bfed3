//! The seams between pipelines and plugins: something that does a step, and something that runs pipelines.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_message::{MessageId, Timestamp, TraceParent};
use coordinator_wiring::InputMismatch;

use crate::in_flight::Pass;
use crate::target::RouteFailed;

/// A step in progress. Dropping it cancels it.
pub type Stepping = Pin<Box<dyn Future<Output = StepReply> + Send>>;

/// Something that does a step.
pub trait StepTarget: Send + Sync + 'static {
    /// Keeps it from being stopped during a run. `None` once another one has taken its place.
    fn enter(&self) -> Option<Pass> {
        Some(Pass::unbounded())
    }

    /// Does it with the value that the steps before it made, JSON. `within` is the time that it has.
    fn take(&self, value: Bytes, run: &Run, within: Duration) -> Stepping;
}

/// What a step answered.
#[derive(Debug)]
pub enum StepReply {
    /// The next step, with this value.
    Continue(Bytes),
    /// The end of the pipeline, with this value.
    Halt(Bytes),
    /// A refusal or a failure.
    Failed(RouteFailed),
    /// It panicked; the first entry says what and where.
    Panicked(Vec<String>),
    /// Its plugin does not run.
    Unavailable(Vec<String>),
}

/// Something that runs pipelines by their names.
pub trait Pipelines: Send + Sync + 'static {
    /// Runs one.
    fn run(&self, name: &str, input: Bytes, run: RunFor) -> RunningPipeline;

    /// All of them, by name.
    fn list(&self) -> Vec<PipelineView>;

    /// Holds an input against what the first steps take. `None`: there is no such pipeline, or it is not `public`.
    fn check_public(
        &self,
        name: &str,
        input: &serde_json::Value,
    ) -> Option<Result<(), InputMismatch>>;
}

/// A pipeline in progress. Dropping it cancels the steps that run.
pub type RunningPipeline = Pin<Box<dyn Future<Output = PipelineRun> + Send>>;

/// For whom a pipeline is run.
#[derive(Clone, Default)]
pub struct RunFor {
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
    /// Pipelines that run each other, from 0.
    pub(crate) depth: u32,
    /// The delivery that it is part of.
    pub(crate) delivery: Option<crate::port::Underway>,
}

/// One run of a pipeline, as its steps see it.
#[derive(Clone)]
pub struct Run {
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
    /// The same for all its steps: of a delivery, the same in each attempt.
    pub id: String,
    /// For whom.
    pub run_for: RunFor,
}

impl RunFor {
    /// For a caller in this trace.
    #[must_use]
    pub fn caller(trace: Option<TraceParent>) -> Self {
        Self {
            trace,
            ..Self::default()
        }
    }

    /// Pipelines that run each other, from 0.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// For what one of its steps runs.
    #[must_use]
    pub fn deeper(mut self) -> Self {
        self.depth += 1;
        self
    }

    /// Begins a run of `pipeline`.
    #[must_use]
    pub fn begin(self, pipeline: Arc<str>) -> Run {
        let id = match &self.delivery {
            Some(underway) => underway.run_id(),
            None => MessageId::new(Timestamp::now()),
        };
        Run {
            pipeline,
            id: id.to_string(),
            run_for: self,
        }
    }
}

/// What became of a run.
#[derive(Debug)]
pub struct PipelineRun {
    /// The answer, or why there is none.
    pub result: Result<Answered, RunError>,
    /// Every step that was asked, in order.
    pub steps: Vec<StepTrace>,
    /// How long it took.
    pub took: Duration,
}

/// The answer of a pipeline.
#[derive(Debug, Clone)]
pub struct Answered {
    /// JSON.
    pub value: Bytes,
    /// The step that ended it before the last one.
    pub halted_by: Option<Arc<str>>,
    /// Steps of groups whose part is missing.
    pub missing: Vec<Missing>,
}

/// A step whose part is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// `instance.step`.
    pub step: Arc<str>,
    /// A sentence for the caller.
    pub reason: String,
}

/// One step of one run.
#[derive(Debug, Clone)]
pub struct StepTrace {
    /// `instance.step`.
    pub step: Arc<str>,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took.
    pub took: Duration,
    /// Why it failed: the error, then its causes. For operators.
    pub chain: Vec<String>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// The next one was asked.
    Continued,
    /// It ended the pipeline with an answer.
    Halted,
    /// It refused its input (a status of 4xx).
    Refused,
    /// It failed.
    Failed,
    /// It panicked.
    Panicked,
    /// It took too long.
    TimedOut,
    /// Its plugin does not run.
    Unavailable,
}

impl StepOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Continued,
        Self::Halted,
        Self::Refused,
        Self::Failed,
        Self::Panicked,
        Self::TimedOut,
        Self::Unavailable,
    ];

    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continued => "continued",
            Self::Halted => "halted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed-out",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A pipeline was not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is none of that name.
    #[error("there is no pipeline `{0}`\n  (see `coordinator pipelines list`)")]
    Unknown(String),
    /// Pipelines that run each other, too deep.
    #[error(
        "`{0}` was not run: pipelines run each other more than {MAX_DEPTH} deep, which looks like a circle"
    )]
    TooDeep(Arc<str>),
    /// A step refused its input, or failed.
    #[error("step `{step}` {}", failure_text(failed))]
    Failed {
        /// Which.
        step: Arc<str>,
        /// What it said.
        failed: RouteFailed,
    },
    /// A step panicked.
    #[error("step `{0}` panicked")]
    Panicked(Arc<str>),
    /// A step took too long.
    #[error("step `{step}` did not answer within {} ms", within.as_millis())]
    TimedOut {
        /// Which.
        step: Arc<str>,
        /// The time that it had.
        within: Duration,
    },
    /// The plugin of a step does not run.
    #[error("step `{0}` cannot be asked: its plugin does not run")]
    Unavailable(Arc<str>),
    /// Steps of a group answered what cannot be put together.
    #[error(
        "`{pointer}`: `{one}` and `{other}` answered different values, which cannot be put together"
    )]
    Conflict {
        /// JSON pointer to where.
        pointer: String,
        /// A step.
        one: Arc<str>,
        /// Another step.
        other: Arc<str>,
    },
    /// What a step of a group was given, or answered, is not JSON.
    #[error("what step `{step}` answered is not JSON")]
    NotJson {
        /// Which.
        step: Arc<str>,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl RunError {
    /// As a plugin, or a caller of the API, is told.
    #[must_use]
    pub fn into_failed(self) -> RouteFailed {
        let detail = self.to_string();
        let (status, code) = match self {
            Self::Failed { failed, .. } => return failed,
            Self::Unknown(_) => (500, "no-such-pipeline"),
            Self::TooDeep(_) => (500, "pipeline-too-deep"),
            Self::Panicked(_) => (500, "step-panicked"),
            Self::TimedOut { .. } => (504, "step-timeout"),
            Self::Unavailable(_) => (503, "step-unavailable"),
            Self::Conflict { .. } => (500, "steps-conflict"),
            Self::NotJson { .. } => (500, "step-not-json"),
        };
        RouteFailed {
            status,
            code: code.to_owned(),
            chain: vec![detail.clone()],
            detail: if status == 500 { String::new() } else { detail },
            after: (status == 503).then_some(AGAIN),
        }
    }
}

/// A plugin that does not run may be back by then.
const AGAIN: Duration = Duration::from_secs(5);

/// Pipelines that run each other at most this deep.
pub const MAX_DEPTH: u32 = 8;

fn failure_text(failed: &RouteFailed) -> String {
    let verb = if (400..500).contains(&failed.status) {
        "refused"
    } else {
        "failed"
    };
    match failed.detail.as_str() {
        "" => verb.to_owned(),
        detail => format!("{verb}: {detail}"),
    }
}

/// A pipeline, for lists.
#[derive(Debug, Clone)]
pub struct PipelineView {
    /// Its name.
    pub name: String,
    /// Does the API run it?
    pub public: bool,
    /// Time for the whole.
    pub deadline: Duration,
    /// Ids of its steps; those in one list are asked at once.
    pub stages: Vec<Vec<String>>,
    /// Do the plugins of all its steps run?
    pub ready: bool,
}
