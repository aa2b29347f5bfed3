//! The wiring as a graph: what comes from where and goes to whom, for people (Mermaid, DOT) and programs (JSON).
//!
//! What a handler or a step publishes is drawn where its author declares it. A type that a plugin knows and does not
//! handle, and that nothing of it is declared to publish, is one that it may publish: such an edge is drawn as a guess.

mod dot;
mod mermaid;

use std::collections::BTreeMap;

use coordinator_config::ScheduleWiring;
use coordinator_message::MessageType;
use serde::Serialize;

use crate::{HandlerKind, Wiring};

/// Nodes and edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// In the order of the wiring.
    pub nodes: Vec<Node>,
    /// From and to are ids of nodes.
    pub edges: Vec<Edge>,
}

/// One thing of the wiring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its kind and name, such as `handler:lms.enrol`.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// What people call it.
    pub name: String,
    /// The instance that it belongs to, if it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A message type.
    Type,
    /// A handler.
    Handler,
    /// A route.
    Route,
    /// A pipeline.
    Pipeline,
    /// A step of a pipeline.
    Step,
    /// Something that ticks.
    Schedule,
    /// A plugin of which it is not known what publishes.
    Plugin,
}

/// One thing leads to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Id of a node.
    pub from: String,
    /// Id of a node.
    pub to: String,
    /// What it means.
    pub kind: EdgeKind,
}

/// What an edge means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// Messages of a type are delivered to a handler.
    Delivers,
    /// A schedule publishes a type.
    Publishes,
    /// A handler or a step is declared to publish a type.
    Emits,
    /// A plugin knows a type and does not handle it.
    MayPublish,
    /// A handler or a step is declared to run a pipeline.
    Runs,
    /// A pipeline or a step is followed by a step.
    Next,
}

impl Graph {
    /// Of a wiring, and the schedules of the configuration.
    #[must_use]
    pub fn of(wiring: &Wiring, schedules: &BTreeMap<String, ScheduleWiring>) -> Self {
        let mut graph = Self {
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        graph.add_types(wiring);
        graph.add_handlers(wiring);
        graph.add_schedules(wiring, schedules);
        graph.add_routes(wiring);
        for pipeline in &wiring.pipelines {
            graph.add_pipeline(pipeline);
        }
        graph
    }

    fn node(&mut self, kind: NodeKind, name: &str, plugin: Option<&str>, doc: &str) -> String {
        let id = format!("{}:{name}", kind.word());
        if !self.nodes.iter().any(|node| node.id == id) {
            self.nodes.push(Node {
                id: id.clone(),
                kind,
                name: name.to_owned(),
                plugin: plugin.map(str::to_owned),
                doc: doc.lines().next().unwrap_or_default().to_owned(),
            });
        }
        id
    }

    fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        self.edges.push(Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            kind,
        });
    }

    /// A tick of a plugin's schedule is a type of its own, which would say nothing.
    fn add_types(&mut self, wiring: &Wiring) {
        let is_tick = |ty: &MessageType| wiring.schedules.iter().any(|schedule| schedule.ty == *ty);
        for (ty, known) in wiring.types.iter().filter(|(ty, _)| !is_tick(ty)) {
            let ty_id = self.node(NodeKind::Type, ty.as_str(), None, &known.doc);
            for instance in known.schemas().flat_map(|(instances, _)| instances) {
                let mut handlers = wiring.handlers.iter();
                let takes = handlers.any(|it| it.instance == *instance && it.ty == *ty);
                if !takes && !wiring.declares(instance, ty) {
                    let plugin = self.node(NodeKind::Plugin, instance, Some(instance), "");
                    self.edge(&plugin, &ty_id, EdgeKind::MayPublish);
                }
            }
        }
    }

    fn add_handlers(&mut self, wiring: &Wiring) {
        for handler in &wiring.handlers {
            let instance = Some(handler.instance.as_str());
            let id = self.node(NodeKind::Handler, &handler.id, instance, &handler.doc);
            if handler.kind == HandlerKind::Message {
                for ty in &handler.types {
                    let ty = format!("{}:{ty}", NodeKind::Type.word());
                    self.edge(&ty, &id, EdgeKind::Delivers);
                }
            }
            self.add_declared(&id, &handler.emits, &handler.runs);
        }
    }

    fn add_declared(&mut self, from: &str, emits: &[MessageType], runs: &[String]) {
        for ty in emits {
            let ty = self.node(NodeKind::Type, ty.as_str(), None, "");
            self.edge(from, &ty, EdgeKind::Emits);
        }
        for pipeline in runs {
            let pipeline = self.node(NodeKind::Pipeline, pipeline, None, "");
            self.edge(from, &pipeline, EdgeKind::Runs);
        }
    }

    fn add_schedules(&mut self, wiring: &Wiring, of_operator: &BTreeMap<String, ScheduleWiring>) {
        for schedule in &wiring.schedules {
            let name = format!("{} ({})", schedule.id, schedule.cron);
            let instance = Some(schedule.instance.as_str());
            let id = self.node(NodeKind::Schedule, &name, instance, &schedule.doc);
            let handler = format!("{}:{}", NodeKind::Handler.word(), schedule.id);
            self.edge(&id, &handler, EdgeKind::Delivers);
        }
        for (name, schedule) in of_operator.iter().filter(|(_, it)| it.enabled) {
            let name = format!("{name} ({})", schedule.cron);
            let id = self.node(NodeKind::Schedule, &name, None, "");
            let ty = self.node(NodeKind::Type, &schedule.ty, None, "");
            self.edge(&id, &ty, EdgeKind::Publishes);
        }
    }

    fn add_routes(&mut self, wiring: &Wiring) {
        for route in &wiring.routes {
            let name = format!("{} {}", route.method, route.path);
            self.node(NodeKind::Route, &name, Some(&route.instance), &route.doc);
        }
    }

    fn add_pipeline(&mut self, pipeline: &crate::BoundPipeline) {
        let mut before = vec![self.node(NodeKind::Pipeline, &pipeline.name, None, "")];
        for (number, stage) in pipeline.stages.iter().enumerate() {
            let mut now = Vec::with_capacity(stage.steps.len());
            for step in &stage.steps {
                // One step may be in several pipelines, and twice in one.
                let id = format!("step:{}#{number}/{}", pipeline.name, step.id);
                self.nodes.push(Node {
                    id: id.clone(),
                    kind: NodeKind::Step,
                    name: step.id.clone(),
                    plugin: Some(step.instance.clone()),
                    doc: step.doc.lines().next().unwrap_or_default().to_owned(),
                });
                for from in &before {
                    self.edges.push(Edge {
                        from: from.clone(),
                        to: id.clone(),
                        kind: EdgeKind::Next,
                    });
                }
                self.add_declared(&id, &step.emits, &step.runs);
                now.push(id);
            }
            before = now;
        }
    }

    /// The number of a node, to name it by where names are not free.
    fn number(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }
}

impl Wiring {
    /// Does the author of this instance say what of it publishes the type?
    fn declares(&self, instance: &str, ty: &MessageType) -> bool {
        let handlers = self.handlers.iter().map(|it| (&it.instance, &it.emits));
        let steps = self.pipelines.iter().flat_map(crate::BoundPipeline::steps);
        let steps = steps.map(|it| (&it.instance, &it.emits));
        let mut all = handlers.chain(steps);
        all.any(|(owner, emits)| owner == instance && emits.contains(ty))
    }
}

impl NodeKind {
    fn word(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Handler => "handler",
            Self::Route => "route",
            Self::Pipeline => "pipeline",
            Self::Step => "step",
            Self::Schedule => "schedule",
            Self::Plugin => "plugin",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph {
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        let ty = graph.node(NodeKind::Type, "org.example.paid.v1", None, "Paid.");
        let handler = graph.node(
            NodeKind::Handler,
            "lms.enrol",
            Some("lms"),
            "A \"learner\".",
        );
        graph.edge(&ty, &handler, EdgeKind::Delivers);
        graph
    }

    #[test]
    fn mermaid_draws_nodes_by_kind_and_names_in_quotes() {
        assert_eq!(
            graph().mermaid(),
            "flowchart LR\n  n0[/\"org.example.paid.v1\"/]\n  n1[\"lms.enrol\"]\n  n0 --> n1\n"
        );
    }

    #[test]
    fn dot_draws_the_same_and_escapes_what_it_must() {
        let dot = graph().dot();
        assert!(
            dot.starts_with("digraph wiring {\n  rankdir=LR;\n"),
            "{dot}"
        );
        assert!(
            dot.contains(r#"n1 [label="lms.enrol", shape=box, tooltip="A \"learner\"."];"#),
            "{dot}"
        );
        assert!(dot.ends_with("  n0 -> n1;\n}\n"), "{dot}");
    }
}
