//! All pipelines by name, changed as a whole while the host runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use coordinator_context::{
    Pass, PipelineRun, PipelineView, Pipelines, RunError, RunFor, RunningPipeline,
};
use coordinator_wiring::InputMismatch;

use super::Pipeline;

/// So often a pipeline may be replaced while a run begins.
const LOOKS: usize = 8;

/// All pipelines. A run that has begun ends with the steps that it began with.
#[derive(Default)]
pub struct PipelineTable(ArcSwap<BTreeMap<Arc<str>, Arc<Pipeline>>>);

impl PipelineTable {
    /// Puts these in the place of those before, at once.
    pub fn replace(&self, pipelines: impl IntoIterator<Item = Pipeline>) {
        let named = pipelines
            .into_iter()
            .map(|pipeline| (Arc::clone(&pipeline.name), Arc::new(pipeline)));
        self.0.store(Arc::new(named.collect()));
    }

    /// The pipeline of now, and the right to use its steps to the end of a run.
    fn enter(&self, name: &str) -> Option<(Arc<Pipeline>, Vec<Pass>)> {
        let mut found = self.0.load().get(name).cloned()?;
        for _ in 0..LOOKS {
            if let Some(passes) = found.enter() {
                return Some((found, passes));
            }
            // Between the look and the entering another one has taken its place.
            found = self.0.load().get(name).cloned()?;
        }
        // The host is ending: the steps say themselves that they are not there.
        Some((found, Vec::new()))
    }
}

impl Pipelines for PipelineTable {
    fn run(&self, name: &str, input: Bytes, run: RunFor) -> RunningPipeline {
        let found = self.enter(name);
        let name = name.to_owned();
        Box::pin(async move {
            match found {
                Some((pipeline, _passes)) => pipeline.run(input, run).await,
                None => PipelineRun {
                    result: Err(RunError::Unknown(name)),
                    steps: Vec::new(),
                    took: Duration::ZERO,
                },
            }
        })
    }

    fn list(&self) -> Vec<PipelineView> {
        let view = |pipeline: &Arc<Pipeline>| PipelineView {
            name: pipeline.bound.name.clone(),
            public: pipeline.bound.public,
            deadline: pipeline.bound.deadline,
            stages: pipeline
                .bound
                .stages
                .iter()
                .map(|stage| stage.steps.iter().map(|step| step.id.clone()).collect())
                .collect(),
            ready: pipeline.is_ready(),
        };
        self.0.load().values().map(view).collect()
    }

    fn check_public(
        &self,
        name: &str,
        input: &serde_json::Value,
    ) -> Option<Result<(), InputMismatch>> {
        let pipelines = self.0.load();
        let pipeline = pipelines.get(name)?;
        pipeline
            .bound
            .public
            .then(|| pipeline.bound.check_input(input))
    }
}
