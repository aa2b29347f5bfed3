//! Pipelines of the configuration, bound to the steps of plugins.

use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::manifest::Step;
use coordinator_config::{Partial, PipelineWiring, StepWiring};
use coordinator_message::MessageType;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Wiring;
use crate::bind::{Installed, types};
use crate::compare::compare;
use crate::finding::{Finding, Severity};

/// A pipeline and its steps, in order.
#[derive(Debug, Clone)]
pub struct BoundPipeline {
    /// Its name, such as `org.example.order.history.v1`.
    pub name: String,
    /// Does the API run it too?
    pub public: bool,
    /// Time for the whole.
    pub deadline: Duration,
    /// One after the other.
    pub stages: Vec<BoundStage>,
    accepts: Vec<Accepts>,
}

/// Steps that are asked at once; mostly one.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundStage {
    /// What it is when one of several fails.
    pub partial: Partial,
    /// In the order of the configuration.
    pub steps: Vec<BoundStep>,
}

/// A step and the plugin that does it.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundStep {
    /// `instance.step`.
    pub id: String,
    /// Instance name.
    pub instance: String,
    /// Its number in the manifest; `None` while the file of its plugin is not loaded.
    pub index: Option<u32>,
    /// What it does.
    pub doc: String,
    /// Time for it.
    pub timeout: Duration,
    /// JSON Schema of what it takes.
    pub input: Value,
    /// JSON Schema of what it makes.
    pub output: Value,
    /// The types that its author says it publishes.
    pub emits: Vec<MessageType>,
    /// The pipelines that its author says it runs.
    pub runs: Vec<String>,
}

/// What one step of the first stage takes.
#[derive(Debug, Clone)]
struct Accepts {
    step: String,
    validator: Arc<Validator>,
}

/// The input of a pipeline does not fit its first step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`input{pointer}`: {reason} (as `{step}` takes it)")]
pub struct InputMismatch {
    /// JSON pointer of the offending value ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).
    pub pointer: String,
    /// What was expected; never the value itself.
    pub reason: String,
    /// The step that does not take it.
    pub step: String,
}

impl BoundPipeline {
    /// Every step, in order.
    pub fn steps(&self) -> impl Iterator<Item = &BoundStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// Holds an input against what the first steps take.
    ///
    /// # Errors
    ///
    /// The first thing that does not fit.
    pub fn check_input(&self, input: &Value) -> Result<(), InputMismatch> {
        for accepts in &self.accepts {
            if let Err(error) = accepts.validator.validate(input) {
                return Err(InputMismatch {
                    pointer: error.instance_path().to_string(),
                    reason: error.masked_with("the value").to_string(),
                    step: accepts.step.clone(),
                });
            }
        }
        Ok(())
    }
}

/// What there is to bind to.
pub(crate) struct Steps<'a> {
    pub(crate) installed: &'a [Installed<'a>],
    pub(crate) away: &'a [&'a str],
}

impl<'a> Steps<'a> {
    fn find(&self, id: &str) -> Option<(u32, &'a Step)> {
        let (instance, name) = id.split_once('.')?;
        let plugin = self.installed.iter().find(|it| it.name == instance)?;
        (0_u32..)
            .zip(&plugin.manifest.steps)
            .find(|(_, step)| step.name == name)
    }

    fn is_away(&self, id: &str) -> bool {
        self.away.iter().any(|instance| {
            id.strip_prefix(instance)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    fn ids(&self) -> Vec<String> {
        let ids = |plugin: &Installed<'a>| {
            let name = plugin.name;
            let steps = plugin.manifest.steps.iter();
            steps
                .map(move |step| format!("{name}.{}", step.name))
                .collect::<Vec<_>>()
        };
        self.installed.iter().flat_map(ids).collect()
    }

    /// Binds one pipeline, or says what is wrong with it.
    pub(crate) fn bind(
        &self,
        name: &str,
        wiring: &PipelineWiring,
        findings: &mut Vec<Finding>,
    ) -> BoundPipeline {
        let mut stages = Vec::with_capacity(wiring.stages.len());
        for stage in &wiring.stages {
            let steps = stage.0.iter().filter_map(|step| {
                let bound = self.step(step, wiring.timeout);
                if bound.is_none() {
                    findings.push(self.unknown(name, &step.step));
                }
                bound
            });
            stages.push(BoundStage {
                partial: wiring.partial,
                steps: steps.collect(),
            });
        }
        let mut bound = BoundPipeline {
            name: name.to_owned(),
            public: wiring.public,
            deadline: wiring.deadline,
            stages,
            accepts: Vec::new(),
        };
        bound.accept(findings);
        bound.check_flow(findings);
        self.check_purpose(&bound, findings);
        bound
    }

    fn step(&self, wiring: &StepWiring, timeout: Duration) -> Option<BoundStep> {
        let id = wiring.step.clone();
        let instance = id.split('.').next().unwrap_or_default().to_owned();
        let Some((index, step)) = self.find(&id) else {
            return self.is_away(&id).then(|| BoundStep {
                id,
                instance,
                index: None,
                doc: String::new(),
                timeout: wiring.timeout.unwrap_or(timeout),
                input: json!(true),
                output: json!(true),
                emits: Vec::new(),
                runs: Vec::new(),
            });
        };
        let of_author = step.timeout_ms.map(Duration::from_millis);
        Some(BoundStep {
            id,
            instance,
            index: Some(index),
            doc: step.doc.clone(),
            timeout: wiring.timeout.or(of_author).unwrap_or(timeout),
            input: step.input.clone(),
            output: step.output.clone(),
            emits: types(&step.emits),
            runs: step.runs.clone(),
        })
    }

    fn unknown(&self, pipeline: &str, step: &str) -> Finding {
        let ids = self.ids();
        let nearest = coordinator_config::nearest(step, ids.iter().map(String::as_str));
        Finding {
            id: "unknown-step".into(),
            severity: Severity::Error,
            subject: format!("wiring.pipelines.\"{pipeline}\".steps"),
            message: format!("no loaded plugin has the step `{step}`"),
            hint: match (nearest, ids.is_empty()) {
                (Some(name), _) => format!("did you mean `{name}`?"),
                (None, true) => "no loaded plugin has any step".to_owned(),
                (None, false) => format!("there are: {}", ids.join(", ")),
            },
        }
    }

    /// A step is made for one pipeline: in another one its fields may fit and mean something else.
    fn check_purpose(&self, pipeline: &BoundPipeline, findings: &mut Vec<Finding>) {
        for step in pipeline.steps() {
            let made_for = self.find(&step.id).map(|(_, step)| step.pipeline.as_str());
            if let Some(other) = made_for.filter(|made_for| *made_for != pipeline.name) {
                findings.push(Finding {
                    id: "step-of-another-pipeline".into(),
                    severity: Severity::Warning,
                    subject: format!("{}: {}", pipeline.name, step.id),
                    message: format!("its author made it for `{other}`"),
                    hint: "make sure that it means the same here".to_owned(),
                });
            }
        }
    }
}

impl BoundPipeline {
    fn accept(&mut self, findings: &mut Vec<Finding>) {
        let first = self.stages.first().map(|stage| stage.steps.as_slice());
        for step in first.unwrap_or_default() {
            match jsonschema::validator_for(&step.input) {
                Ok(validator) => self.accepts.push(Accepts {
                    step: step.id.clone(),
                    validator: Arc::new(validator),
                }),
                Err(error) => findings.push(Finding {
                    id: "malformed-schema".into(),
                    severity: Severity::Error,
                    subject: step.id.clone(),
                    message: format!("the JSON Schema of its input is malformed: {error}"),
                    hint: "build the plugin again with coordinator-sdk".to_owned(),
                }),
            }
        }
    }

    /// What each step makes must be what the next one takes.
    fn check_flow(&self, findings: &mut Vec<Finding>) {
        for pair in self.stages.windows(2) {
            let [before, after] = pair else { continue };
            for maker in &before.steps {
                for taker in &after.steps {
                    self.check_pair(before, maker, taker, findings);
                }
            }
        }
    }

    fn check_pair(
        &self,
        stage: &BoundStage,
        maker: &BoundStep,
        taker: &BoundStep,
        findings: &mut Vec<Finding>,
    ) {
        if maker.index.is_none() || taker.index.is_none() {
            return;
        }
        let compared = compare(&maker.output, &taker.input);
        let subject = format!("{}: {} → {}", self.name, maker.id, taker.id);
        for misfit in &compared.misfits {
            // The others of a group may give it, and what all of them leave out is told of the first.
            if stage.steps.len() > 1 && stage.others_give(maker, &misfit.pointer) {
                continue;
            }
            findings.push(Finding {
                id: "step-schema".into(),
                severity: Severity::Error,
                subject: subject.clone(),
                message: format!(
                    "what `{}` makes, `{}` does not take: {misfit}",
                    maker.id, taker.id
                ),
                hint: "change the order of the steps, or put one between them that translates"
                    .to_owned(),
            });
        }
        for at in &compared.unknown {
            findings.push(Finding {
                id: "step-schema-unknown".into(),
                severity: Severity::Warning,
                subject: subject.clone(),
                message: format!("`{at}`: cannot compare the schemas there"),
                hint: "run it once: `coordinator pipelines run`".to_owned(),
            });
        }
    }
}

impl BoundStage {
    /// Is the top-level field that this step leaves out always given by another one of the group?
    fn others_give(&self, maker: &BoundStep, pointer: &str) -> bool {
        let mut segments = pointer.split('/').skip(1);
        let (Some(field), None) = (segments.next(), segments.next()) else {
            return false;
        };
        let field = field.replace("~1", "/").replace("~0", "~");
        let declares = |step: &BoundStep| field_of(&step.output, &field).is_some();
        let always = |step: &BoundStep| {
            let required = resolved(&step.output)
                .get("required")
                .and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|it| *it == json!(field)))
        };
        // A field that it declares otherwise than it is taken is its own mistake.
        let leaves_out = !declares(maker) || !always(maker);
        // Where a failed one is left out, only what all of them give is given.
        leaves_out
            && self.partial == Partial::Fail
            && self
                .steps
                .iter()
                .any(|step| step.id != maker.id && always(step))
    }
}

fn resolved(schema: &Value) -> &Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    target
        .and_then(|target| schema.pointer(target.strip_prefix('#')?))
        .unwrap_or(schema)
}

fn field_of<'a>(schema: &'a Value, field: &str) -> Option<&'a Value> {
    resolved(schema).get("properties")?.get(field)
}

impl Wiring {
    /// Steps that no pipeline runs: their plugins were made for something that nobody asks for.
    pub(crate) fn check_steps(&self, installed: &[Installed<'_>], findings: &mut Vec<Finding>) {
        for plugin in installed {
            for step in &plugin.manifest.steps {
                let id = format!("{}.{}", plugin.name, step.name);
                let mut pipelines = self.pipelines.iter();
                if !pipelines.any(|pipeline| pipeline.steps().any(|bound| bound.id == id)) {
                    findings.push(Finding {
                        id: "step-without-pipeline".into(),
                        severity: Severity::Warning,
                        subject: id.clone(),
                        message: format!("no pipeline runs it; it is made for `{}`", step.pipeline),
                        hint: format!(
                            "[wiring.pipelines.\"{}\"] steps = [\"{id}\"]",
                            step.pipeline
                        ),
                    });
                }
            }
        }
    }
}
