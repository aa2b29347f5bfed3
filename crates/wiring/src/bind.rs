//! Handlers bound to types, routes bound to paths.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_abi::Manifest;
use coordinator_abi::manifest::Access;
use coordinator_config::{self as config, Dispatch, HandlerWiring};
use coordinator_message::MessageType;

use crate::bound;
use crate::finding::{Finding, Severity};
use crate::flags::BoundFlag;
use crate::pipelines::{BoundPipeline, Steps};
use crate::surface::{BoundCheck, BoundCommand, BoundSchedule};
use crate::terms::HandlerTerms;
use crate::types::Types;

/// One plugin instance, as wiring sees it.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    /// Instance name.
    pub name: &'a str,
    /// Where its routes are mounted.
    pub mount: &'a str,
    /// What it says of itself.
    pub manifest: &'a Manifest,
}

/// The checked graph.
#[derive(Debug, Default)]
pub struct Wiring {
    /// Every message type.
    pub types: Types,
    /// Every handler that is on.
    pub handlers: Vec<BoundHandler>,
    /// Every route.
    pub routes: Vec<BoundRoute>,
    /// Every pipeline that is on.
    pub pipelines: Vec<BoundPipeline>,
    /// Every schedule of a plugin that is on. Those of the configuration publish messages, and are not here.
    pub schedules: Vec<BoundSchedule>,
    /// Every command.
    pub commands: Vec<BoundCommand>,
    /// Every check of a plugin.
    pub checks: Vec<BoundCheck>,
    /// Every flag, each once.
    pub flags: Vec<BoundFlag>,
}

/// What runs a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandlerKind {
    /// Messages of a type.
    #[default]
    Message,
    /// Ticks of a schedule of its plugin, which are messages too.
    Schedule,
}

/// A handler and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundHandler {
    /// `instance.handler`.
    pub id: String,
    /// Instance name.
    pub instance: String,
    /// What runs it.
    pub kind: HandlerKind,
    /// Its number among those of its kind in the manifest.
    pub index: u32,
    /// What it does.
    pub doc: String,
    /// The type it takes, as its author says.
    pub ty: MessageType,
    /// The types that it is bound to: its own, unless an operator says otherwise.
    pub types: Vec<MessageType>,
    /// The lanes that messages of each of these types are in.
    pub lanes: BTreeMap<MessageType, BTreeSet<String>>,
    /// How it is run.
    pub terms: HandlerTerms,
    /// The types that its author says it publishes.
    pub emits: Vec<MessageType>,
    /// The pipelines that its author says it runs.
    pub runs: Vec<String>,
}

/// A route and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundRoute {
    /// Instance name.
    pub instance: String,
    /// Its number in the manifest.
    pub index: u32,
    /// Its name in the manifest.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// HTTP method, in capitals.
    pub method: String,
    /// Mount and path; `{name}` is a parameter.
    pub path: String,
    /// The path alone.
    pub below_mount: String,
    /// Who may call it.
    pub access: Access,
    /// Longest body in bytes, if not the host's.
    pub body_limit: Option<u64>,
}

impl Wiring {
    /// Binds everything, or says everything that is wrong. `away` are the instances whose files are not loaded: what the
    /// operator says of them is kept for when they are.
    ///
    /// # Errors
    ///
    /// All findings, when one of them is an error. Warnings alone come back beside the wiring.
    pub fn build(
        installed: &[Installed<'_>],
        away: &[&str],
        defaults: &Dispatch,
        operator: &config::Wiring,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut findings = Vec::new();
        let mut wiring = Self::default();
        let mut overrides = operator.handlers.clone();
        overrides.retain(|id, _| !away.contains(&id.split('.').next().unwrap_or_default()));
        for plugin in installed {
            for message in &plugin.manifest.messages {
                wiring.types.add(plugin.name, message, &mut findings);
            }
            wiring.bind_handlers(plugin, defaults, &overrides, &mut findings);
            wiring.bind_schedules(plugin, defaults, &overrides, &mut findings);
            wiring.bind_routes(plugin);
            wiring.bind_surface(plugin);
            wiring.bind_flags(plugin, &mut findings);
        }
        wiring.rebind(&overrides, &mut findings);
        let steps = Steps { installed, away };
        let on = operator.pipelines.iter().filter(|(_, it)| it.enabled);
        for (name, pipeline) in on {
            let bound = steps.bind(name, pipeline, &mut findings);
            wiring.pipelines.push(bound);
        }
        wiring.check_routes(&mut findings);
        wiring.check_order(&overrides, &mut findings);
        wiring.check_types(&mut findings);
        wiring.check_schemas(&mut findings);
        wiring.check_steps(installed, &mut findings);
        wiring.check_cycles(&mut findings);
        wiring.check_times(&overrides, &mut findings);
        wiring.check_overrides(installed, &overrides, &mut findings);
        if findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            return Err(findings);
        }
        Ok((wiring, findings))
    }

    fn bind_handlers(
        &mut self,
        plugin: &Installed<'_>,
        defaults: &Dispatch,
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        for (index, handler) in (0_u32..).zip(&plugin.manifest.handlers) {
            let id = format!("{}.{}", plugin.name, handler.name);
            let operator = overrides.get(&id);
            // A malformed type was found above.
            let Ok(ty) = handler.ty.parse::<MessageType>() else {
                continue;
            };
            if operator.is_some_and(|operator| !operator.enabled) {
                continue;
            }
            let terms = match HandlerTerms::of(defaults, handler, operator) {
                Ok(terms) => terms,
                Err(unknown) => {
                    findings.push(bound::unknown_term(&id, &unknown));
                    continue;
                }
            };
            let known = self.types.get(&ty);
            let lane = known.map_or_else(|| handler.ty.clone(), |known| known.lane.clone());
            self.handlers.push(BoundHandler {
                id,
                instance: plugin.name.to_owned(),
                kind: HandlerKind::Message,
                index,
                doc: handler.doc.clone(),
                types: vec![ty.clone()],
                lanes: [(ty.clone(), [lane].into())].into(),
                ty,
                terms,
                emits: types(&handler.emits),
                runs: handler.runs.clone(),
            });
        }
    }

    fn bind_routes(&mut self, plugin: &Installed<'_>) {
        for (index, route) in (0_u32..).zip(&plugin.manifest.routes) {
            let below = if route.path == "/" {
                ""
            } else {
                route.path.as_str()
            };
            self.routes.push(BoundRoute {
                instance: plugin.name.to_owned(),
                index,
                name: route.name.clone(),
                doc: route.doc.clone(),
                method: route.method.clone(),
                path: format!("{}{below}", plugin.mount),
                below_mount: route.path.clone(),
                access: route.access.clone(),
                body_limit: route.body_limit,
            });
        }
    }

    fn check_routes(&self, findings: &mut Vec<Finding>) {
        let mut seen: BTreeMap<(&str, String), &BoundRoute> = BTreeMap::new();
        for route in &self.routes {
            let key = (route.method.as_str(), shape(&route.path));
            if let Some(first) = seen.insert(key, route) {
                findings.push(Finding {
                    id: "duplicate-route".into(),
                    severity: Severity::Error,
                    subject: format!("{} {}", route.method, route.path),
                    message: format!("both `{}` and `{}` answer it", owner(first), owner(route)),
                    hint: "give one of the plugins another `mount`".to_owned(),
                });
            }
        }
    }

    fn check_overrides(
        &self,
        installed: &[Installed<'_>],
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        let handlers = |plugin: &Installed<'_>| {
            let name = plugin.name.to_owned();
            let manifest = plugin.manifest;
            let schedules = manifest.schedules.iter().map(|schedule| &schedule.name);
            let names = manifest.handlers.iter().map(|handler| &handler.name);
            let ids = names.chain(schedules).map(|it| format!("{name}.{it}"));
            ids.collect::<Vec<_>>()
        };
        let known: Vec<String> = installed.iter().flat_map(handlers).collect();
        for id in overrides.keys().filter(|id| !known.contains(id)) {
            let nearest = coordinator_config::nearest(id, known.iter().map(String::as_str));
            findings.push(Finding {
                id: "unknown-handler".into(),
                severity: Severity::Error,
                subject: format!("wiring.handlers.\"{id}\""),
                message: "no loaded plugin has this handler".to_owned(),
                hint: match nearest {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "see `coordinator handlers list`".to_owned(),
                },
            });
        }
    }
}

/// Types as a manifest names them; what is none, no macro has written.
pub(crate) fn types(names: &[String]) -> Vec<MessageType> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

fn owner(route: &BoundRoute) -> String {
    format!("{}.{}", route.instance, route.name)
}

/// Two paths that differ only in the names of their parameters are one.
fn shape(path: &str) -> String {
    let part = |segment: &str| {
        if segment.starts_with('{') {
            "{}".to_owned()
        } else {
            segment.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
