//! What leads back to itself, as far as authors declare it: pipelines whose steps run each other, and handlers whose
//! messages come back to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coordinator_message::MessageType;

use crate::Wiring;
use crate::finding::{Finding, Severity};

/// What may be on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop<'a> {
    Type(&'a str),
    Handler(&'a str),
    Pipeline(&'a str),
    Step(&'a str),
}

/// Where each leads.
type Ways<'a> = BTreeMap<Stop<'a>, BTreeSet<Stop<'a>>>;

impl Stop<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Type(name) | Self::Handler(name) | Self::Pipeline(name) | Self::Step(name) => {
                name
            }
        }
    }

    /// Is it done while somebody waits for it?
    fn is_waited_for(&self) -> bool {
        matches!(self, Self::Pipeline(_) | Self::Step(_))
    }
}

impl Wiring {
    /// A pipeline that runs itself never answers. Messages may go in a circle on purpose, and end it by what they say.
    pub(crate) fn check_cycles(&self, findings: &mut Vec<Finding>) {
        let ways = self.ways();
        let mut within = ways.clone();
        within.retain(|from, _| from.is_waited_for());
        let is_pipeline = |stop: &Stop<'_>| matches!(stop, Stop::Pipeline(_));
        for circle in circles(&within, is_pipeline) {
            findings.push(Finding {
                id: "cycle".into(),
                severity: Severity::Error,
                subject: circle[0].name().to_owned(),
                message: format!("its steps run it again: {}", way(&circle)),
                hint: "take one of these steps out of its pipeline".to_owned(),
            });
        }
        let is_handler = |stop: &Stop<'_>| matches!(stop, Stop::Handler(_));
        for circle in circles(&ways, is_handler) {
            findings.push(Finding {
                id: "cycle".into(),
                severity: Severity::Warning,
                subject: circle[0].name().to_owned(),
                message: format!("what it emits leads back to it: {}", way(&circle)),
                hint: "if it is meant so, make sure that it ends: each round is delivered like any message"
                    .to_owned(),
            });
        }
    }

    fn ways(&self) -> Ways<'_> {
        let mut ways = Ways::new();
        for handler in &self.handlers {
            let here = Stop::Handler(&handler.id);
            for ty in &handler.types {
                let type_of_it = ways.entry(Stop::Type(ty.as_str())).or_default();
                type_of_it.insert(here);
            }
            let leads_to = ways.entry(here).or_default();
            leads_to.extend(declared(&handler.emits, &handler.runs));
        }
        for pipeline in &self.pipelines {
            for step in pipeline.steps() {
                let here = Stop::Step(&step.id);
                let steps = ways.entry(Stop::Pipeline(&pipeline.name)).or_default();
                steps.insert(here);
                let leads_to = ways.entry(here).or_default();
                leads_to.extend(declared(&step.emits, &step.runs));
            }
        }
        ways
    }
}

fn declared<'a>(emits: &'a [MessageType], runs: &'a [String]) -> impl Iterator<Item = Stop<'a>> {
    let types = emits.iter().map(|ty| Stop::Type(ty.as_str()));
    types.chain(runs.iter().map(|name| Stop::Pipeline(name)))
}

/// The shortest circle through each stop that `counts`; of those that share such a stop, one.
fn circles<'a>(ways: &Ways<'a>, counts: impl Fn(&Stop<'a>) -> bool) -> Vec<Vec<Stop<'a>>> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for start in ways.keys().filter(|stop| counts(stop)) {
        if told.contains(start) {
            continue;
        }
        if let Some(circle) = circle(ways, *start) {
            told.extend(circle.iter().copied());
            found.push(circle);
        }
    }
    found
}

/// The shortest way from a stop back to it, with the stop at its head and not at its end.
fn circle<'a>(ways: &Ways<'a>, start: Stop<'a>) -> Option<Vec<Stop<'a>>> {
    let mut came_from: BTreeMap<Stop<'a>, Stop<'a>> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(here) = next.pop_front() {
        for there in ways.get(&here).into_iter().flatten() {
            if *there == start {
                let back = std::iter::successors(Some(here), |stop| came_from.get(stop).copied());
                let mut circle: Vec<_> = back.collect();
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(there) {
                came_from.insert(*there, here);
                next.push_back(*there);
            }
        }
    }
    None
}

fn way(circle: &[Stop<'_>]) -> String {
    let round = circle.iter().chain(circle.first());
    let names: Vec<_> = round.map(|stop| format!("`{}`", stop.name())).collect();
    names.join(" → ")
}
