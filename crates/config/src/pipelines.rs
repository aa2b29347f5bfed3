//! `[wiring.pipelines."TYPE.V1"]`: steps of plugins, one after the other or at once. Explained in `instances.toml`.

use std::time::Duration;

use figment::value::{Dict, Value};

use crate::reader::Reader;
use crate::value::{Raw, Setting};

/// `[wiring.pipelines."TYPE.V1"]`: an ordered list of steps that answers a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineWiring {
    /// Whether it can be run.
    pub enabled: bool,
    /// Whether the API runs it too, beside plugins.
    pub public: bool,
    /// One after the other.
    pub stages: Vec<StageWiring>,
    /// How long one step may take, where neither it nor its author says otherwise.
    pub timeout: Duration,
    /// How long the whole may take.
    pub deadline: Duration,
    /// What a group is when one of its steps fails.
    pub partial: Partial,
}

/// Steps that are asked at once; mostly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageWiring(pub Vec<StepWiring>);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepWiring {
    /// `instance.step`.
    pub step: String,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// What a group of steps is when one of them fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partial {
    /// Failed.
    #[default]
    Fail,
    /// What the others answered; the answer states which are missing.
    State,
}

/// Steps of one pipeline at most: a list is no loop.
const MAX_STEPS: usize = 64;

impl Partial {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::State => "state",
        }
    }
}

impl PipelineWiring {
    pub(crate) fn read(from: &Reader<'_>) -> Self {
        let stages: Vec<StageWiring> = from.required("steps").unwrap_or_default();
        if stages.iter().map(|stage| stage.0.len()).sum::<usize>() > MAX_STEPS {
            from.reject("steps", &format!("expected at most {MAX_STEPS} steps"));
        }
        let (timeout, deadline) = (
            from.get_or("timeout", Duration::from_secs(5)),
            from.get_or("deadline", Duration::from_secs(15)),
        );
        for (name, time) in [("timeout", timeout), ("deadline", deadline)] {
            if time.is_zero() {
                from.reject(name, "expected more than zero");
            }
        }
        Self {
            enabled: from.get_or("enabled", true),
            public: from.get_or("public", false),
            stages,
            timeout,
            deadline,
            partial: from.get_or("partial", Partial::Fail),
        }
    }
}

/// Is this a name that a pipeline can have? Like a message type: reverse-DNS with a version.
pub(crate) fn is_pipeline(name: &str) -> bool {
    let segments: Vec<&str> = name.split('.').collect();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let version = segments.last().and_then(|last| last.strip_prefix('v'));
    segments.len() >= 3
        && version.is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
        && segments
            .iter()
            .all(|segment| !segment.is_empty() && segment.bytes().all(plain))
}

impl Setting for Vec<StageWiring> {
    const EXPECTED: &'static str = "a list of steps, one after the other: \"lms.orders\", { step = \"lms.orders\", timeout = \"2s\" }, or a list of those that are asked at once";

    fn read(raw: Raw<'_>) -> Option<Self> {
        let Value::Array(_, stages) = raw.value else {
            return None;
        };
        let stages: Self = stages
            .iter()
            .map(|stage| {
                match stage {
                    Value::Array(_, group) => group.iter().map(step).collect(),
                    one => step(one).map(|step| vec![step]),
                }
                .filter(|steps| !steps.is_empty())
                .map(StageWiring)
            })
            .collect::<Option<_>>()?;
        Some(stages).filter(|stages| !stages.is_empty())
    }
}

fn step(value: &Value) -> Option<StepWiring> {
    match value {
        Value::String(_, id) if is_step(id) => Some(StepWiring {
            step: id.clone(),
            timeout: None,
        }),
        Value::Dict(_, table) => of_table(table),
        _ => None,
    }
}

fn of_table(table: &Dict) -> Option<StepWiring> {
    if table
        .keys()
        .any(|key| !["step", "timeout"].contains(&key.as_str()))
    {
        return None;
    }
    let id = table.get("step")?.as_str().filter(|id| is_step(id))?;
    let timeout = match table.get("timeout") {
        None => None,
        Some(text) => Some(
            humantime::parse_duration(text.as_str()?)
                .ok()
                .filter(|time| !time.is_zero())?,
        ),
    };
    Some(StepWiring {
        step: id.to_owned(),
        timeout,
    })
}

/// `instance.step`.
fn is_step(id: &str) -> bool {
    id.split_once('.').is_some_and(|(instance, step)| {
        !instance.is_empty() && !step.is_empty() && !step.contains('.')
    })
}

impl Setting for Partial {
    const EXPECTED: &'static str = "\"fail\" or \"state\"";

    fn read(raw: Raw<'_>) -> Option<Self> {
        let text = raw.text()?;
        [Self::Fail, Self::State]
            .into_iter()
            .find(|word| word.as_str() == text)
    }
}
