//! Handlers bound to types, routes bound to paths.

use std::collections::BTreeMap;

use coordinator_abi::Manifest;
use coordinator_abi::manifest::Access;
use coordinator_config::{Dispatch, HandlerWiring};
use coordinator_message::MessageType;

use crate::bound;
use crate::finding::{Finding, Severity};
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
}

/// A handler and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundHandler {
    /// `instance.handler`.
    pub id: String,
    /// Instance name.
    pub instance: String,
    /// Its number in the manifest.
    pub index: u32,
    /// What it does.
    pub doc: String,
    /// The type it takes.
    pub ty: MessageType,
    /// The lane that messages of this type are in.
    pub lane: String,
    /// How it is run.
    pub terms: HandlerTerms,
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
    /// Binds everything, or says everything that is wrong.
    ///
    /// # Errors
    ///
    /// All findings, when one of them is an error. Warnings alone come back beside the wiring.
    pub fn build(
        installed: &[Installed<'_>],
        defaults: &Dispatch,
        overrides: &BTreeMap<String, HandlerWiring>,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut findings = Vec::new();
        let mut wiring = Self::default();
        for plugin in installed {
            for message in &plugin.manifest.messages {
                wiring.types.add(plugin.name, message, &mut findings);
            }
            wiring.bind_handlers(plugin, defaults, overrides, &mut findings);
            wiring.bind_routes(plugin);
        }
        wiring.check_routes(&mut findings);
        wiring.check_order(overrides, &mut findings);
        wiring.check_types(&mut findings);
        wiring.check_overrides(installed, overrides, &mut findings);
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
                index,
                doc: handler.doc.clone(),
                ty,
                lane,
                terms,
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
                    id: "duplicate-route",
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
            plugin
                .manifest
                .handlers
                .iter()
                .map(move |handler| format!("{name}.{}", handler.name))
                .collect::<Vec<_>>()
        };
        let known: Vec<String> = installed.iter().flat_map(handlers).collect();
        for id in overrides.keys().filter(|id| !known.contains(id)) {
            let nearest = coordinator_config::nearest(id, known.iter().map(String::as_str));
            findings.push(Finding {
                id: "unknown-handler",
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
