//! Runs pipelines: one step after the other, each with the value that the one before it made.
//!
//! In: a value as JSON, steps. Out: the last step's value, or the first failure (fail closed), and what each step did.
//! A value between two steps is never read here; only what a group answers is, to put it together.

mod merge;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_context::{
    Answered, MAX_DEPTH, Missing, Pass, PipelineRun, Run, RunError, RunFor, StepOutcome, StepReply,
    StepTarget, StepTrace,
};
use coordinator_telemetry::metric::StepMeter;
use coordinator_wiring::{BoundPipeline, BoundStep, Partial};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, debug, debug_span, warn};

pub use table::PipelineTable;

/// A pipeline and what does its steps.
pub struct Pipeline {
    name: Arc<str>,
    bound: BoundPipeline,
    stages: Vec<Stage>,
}

struct Stage {
    partial: Partial,
    steps: Vec<Step>,
}

struct Step {
    id: Arc<str>,
    timeout: Duration,
    /// `None` while its plugin does not run.
    target: Option<Arc<dyn StepTarget>>,
    meter: StepMeter,
}

/// What one step made.
struct Made {
    value: Bytes,
    halts: bool,
}

/// What a run has come to.
struct Progress {
    value: Bytes,
    halted_by: Option<Arc<str>>,
    missing: Vec<Missing>,
    steps: Vec<StepTrace>,
}

impl Pipeline {
    /// A bound pipeline, its steps done by what `target` finds for them.
    pub fn new(
        bound: BoundPipeline,
        target: impl Fn(&BoundStep) -> Option<Arc<dyn StepTarget>>,
    ) -> Self {
        let name: Arc<str> = bound.name.as_str().into();
        let step = |step: &BoundStep| Step {
            id: step.id.as_str().into(),
            timeout: step.timeout,
            target: target(step),
            meter: StepMeter::new(&name, &step.id),
        };
        let stages = bound.stages.iter().map(|stage| Stage {
            partial: stage.partial,
            steps: stage.steps.iter().map(step).collect(),
        });
        Self {
            stages: stages.collect(),
            name,
            bound,
        }
    }

    /// Do the plugins of all its steps run?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut steps = self.stages.iter().flat_map(|stage| &stage.steps);
        steps.all(|step| step.target.is_some())
    }

    /// Keeps all its steps from being stopped during a run. `None` once another pipeline has taken its place.
    fn enter(&self) -> Option<Vec<Pass>> {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        let targets = steps.filter_map(|step| step.target.as_ref());
        targets.map(|target| target.enter()).collect()
    }

    /// Runs it. Fails closed: what is not clearly an answer is none.
    pub async fn run(&self, input: Bytes, run_for: RunFor) -> PipelineRun {
        let began = Instant::now();
        let span = debug_span!("pipeline", pipeline.name = &*self.name);
        let mut progress = Progress {
            value: input,
            halted_by: None,
            missing: Vec::new(),
            steps: Vec::with_capacity(self.stages.len()),
        };
        let went = if run_for.depth() > MAX_DEPTH {
            Err(RunError::TooDeep(Arc::clone(&self.name)))
        } else {
            let run = run_for.begin(Arc::clone(&self.name));
            let through = self.go(&run, began + self.bound.deadline, &mut progress);
            through.instrument(span).await
        };
        if let Err(error) = &went {
            warn!(
                pipeline.name = &*self.name,
                error = error as &dyn std::error::Error,
                chain = progress.steps.last().map(|step| step.chain.join(": ")),
                "pipeline `{}` failed",
                self.name
            );
        }
        let Progress {
            value,
            halted_by,
            missing,
            steps,
        } = progress;
        PipelineRun {
            result: went.map(|()| Answered {
                value,
                halted_by,
                missing,
            }),
            steps,
            took: began.elapsed(),
        }
    }

    async fn go(&self, run: &Run, end: Instant, progress: &mut Progress) -> Result<(), RunError> {
        for stage in &self.stages {
            match stage.steps.as_slice() {
                [step] => {
                    let (traced, made) = step.ask(progress.value.clone(), run, end).await;
                    progress.steps.push(traced);
                    let Made { value, halts } = made?;
                    progress.value = value;
                    progress.halted_by = halts.then(|| Arc::clone(&step.id));
                }
                group => stage.together(group, run, end, progress).await?,
            }
            if progress.halted_by.is_some() {
                break;
            }
        }
        Ok(())
    }
}

impl Stage {
    /// Asks all at once with the same value, and puts together what they made of it.
    async fn together(
        &self,
        group: &[Step],
        run: &Run,
        end: Instant,
        progress: &mut Progress,
    ) -> Result<(), RunError> {
        let asked = group
            .iter()
            .map(|step| step.ask(progress.value.clone(), run, end));
        let mut made: Vec<(Arc<str>, Value)> = Vec::with_capacity(group.len());
        let mut failed = None;
        for (step, (traced, answer)) in group.iter().zip(join_all(asked).await) {
            progress.steps.push(traced);
            let answer = answer.and_then(|made| Ok((read(&step.id, &made.value)?, made.halts)));
            match answer {
                Ok((value, halts)) => {
                    if halts && progress.halted_by.is_none() {
                        progress.halted_by = Some(Arc::clone(&step.id));
                    }
                    made.push((Arc::clone(&step.id), value));
                }
                Err(error) => {
                    progress.missing.push(Missing {
                        step: Arc::clone(&step.id),
                        reason: error.to_string(),
                    });
                    failed.get_or_insert(error);
                }
            }
        }
        // Without a single answer there is nothing to state a part of.
        if let Some(error) = failed.filter(|_| self.partial == Partial::Fail || made.is_empty()) {
            return Err(error);
        }
        let base = read(&run.pipeline, &progress.value).unwrap_or_default();
        progress.value = merge::together(&base, &made)?.to_string().into();
        Ok(())
    }
}

impl Step {
    async fn ask(
        &self,
        value: Bytes,
        run: &Run,
        end: Instant,
    ) -> (StepTrace, Result<Made, RunError>) {
        let began = Instant::now();
        let within = self.timeout.min(end.saturating_duration_since(began));
        let span = debug_span!(
            "step",
            pipeline.name = &*run.pipeline,
            step.name = &*self.id
        );
        let answer = match &self.target {
            None => Ok(StepReply::Unavailable(Vec::new())),
            Some(target) => {
                let asked = target.take(value, run, within).instrument(span.clone());
                timeout_at(began + within, asked).await
            }
        };
        let (outcome, chain, made) = match answer {
            Ok(reply) => self.read(reply),
            Err(_) => {
                let step = Arc::clone(&self.id);
                let late = RunError::TimedOut { step, within };
                (StepOutcome::TimedOut, Vec::new(), Err(late))
            }
        };
        let took = began.elapsed();
        self.meter.asked(outcome.as_str(), took);
        debug!(
            parent: &span,
            outcome = outcome.as_str(),
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "step `{}` {}", self.id, outcome.as_str()
        );
        let traced = StepTrace {
            step: Arc::clone(&self.id),
            outcome,
            took,
            chain,
        };
        (traced, made)
    }

    fn read(&self, reply: StepReply) -> (StepOutcome, Vec<String>, Result<Made, RunError>) {
        let step = || Arc::clone(&self.id);
        match reply {
            StepReply::Continue(value) => {
                let halts = false;
                (
                    StepOutcome::Continued,
                    Vec::new(),
                    Ok(Made { value, halts }),
                )
            }
            StepReply::Halt(value) => {
                let halts = true;
                (StepOutcome::Halted, Vec::new(), Ok(Made { value, halts }))
            }
            StepReply::Failed(failed) => {
                let outcome = match failed.status {
                    400..500 => StepOutcome::Refused,
                    _ => StepOutcome::Failed,
                };
                let chain = failed.chain.clone();
                let step = step();
                (outcome, chain, Err(RunError::Failed { step, failed }))
            }
            StepReply::Panicked(chain) => (
                StepOutcome::Panicked,
                chain,
                Err(RunError::Panicked(step())),
            ),
            StepReply::Unavailable(chain) => (
                StepOutcome::Unavailable,
                chain,
                Err(RunError::Unavailable(step())),
            ),
        }
    }
}

fn read(step: &Arc<str>, value: &[u8]) -> Result<Value, RunError> {
    serde_json::from_slice(value).map_err(|source| RunError::NotJson {
        step: Arc::clone(step),
        source,
    })
}
