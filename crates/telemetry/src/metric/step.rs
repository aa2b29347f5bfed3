//! Steps of pipelines. They may take less than a look-up of a metric does, so each has its own at hand.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::raw;

const STEPS: &str = "coordinator_pipeline_steps_total";
const STEP_SECONDS: &str = "coordinator_pipeline_step_duration_seconds";

/// What is counted of one step of one pipeline.
pub struct StepMeter {
    pipeline: String,
    step: String,
    continued: Counter,
    seconds: Histogram,
}

impl StepMeter {
    /// For this step of this pipeline. Made after [`init`](crate::init), or nothing is counted.
    #[must_use]
    pub fn new(pipeline: &str, step: &str) -> Self {
        let labels = [("pipeline", pipeline), ("step", step)];
        Self {
            continued: raw::counter(STEPS, outcome(pipeline, step, CONTINUED)),
            seconds: raw::histogram(STEP_SECONDS, labels),
            pipeline: pipeline.to_owned(),
            step: step.to_owned(),
        }
    }

    /// Counts one time that it was asked.
    pub fn asked(&self, how: &'static str, took: Duration) {
        if how == CONTINUED {
            self.continued.increment(1);
        } else {
            raw::count(STEPS, outcome(&self.pipeline, &self.step, how), 1);
        }
        self.seconds.record(took.as_secs_f64());
    }
}

/// The usual outcome.
const CONTINUED: &str = "continued";

fn outcome<'a>(pipeline: &'a str, step: &'a str, how: &'a str) -> [(&'static str, &'a str); 3] {
    [("pipeline", pipeline), ("step", step), ("outcome", how)]
}

pub(super) fn describe() {
    metrics::describe_counter!(STEPS, "Steps of pipelines by how they ended.");
    metrics::describe_histogram!(STEP_SECONDS, "Duration of a step.");
}
