//! What plugins have beside handlers, routes, steps and flags: schedules, commands, checks.

use std::collections::BTreeMap;
use std::time::Duration;

use coordinator_abi::manifest;
use coordinator_config::{Dispatch, HandlerWiring};
use coordinator_message::MessageType;
use serde_json::{Value, json};

use crate::bind::{BoundHandler, HandlerKind, Installed};
use crate::bound;
use crate::finding::{Finding, Severity};
use crate::{HandlerTerms, Wiring};

/// A plugin's schedule: its ticks are messages of a type of its own, which one handler of the plugin takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundSchedule {
    /// `instance.schedule`; the id of its handler too.
    pub id: String,
    /// Instance name.
    pub instance: String,
    /// What it does.
    pub doc: String,
    /// The type of its ticks.
    pub ty: MessageType,
    /// When, as cron writes it.
    pub cron: String,
    /// The time zone that `cron` is meant in.
    pub zone: String,
}

/// A command of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundCommand {
    /// Instance name.
    pub instance: String,
    /// Its number in the manifest.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// JSON Schema of its arguments; null if it takes none.
    pub arguments: Value,
    /// Time for it.
    pub timeout: Duration,
}

/// A check of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundCheck {
    /// Instance name.
    pub instance: String,
    /// Its number in the manifest.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it looks at.
    pub doc: String,
}

/// A command may take this long, where its author does not say.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

impl Wiring {
    pub(crate) fn bind_surface(&mut self, plugin: &Installed<'_>) {
        let instance = || plugin.name.to_owned();
        let commands = (0_u32..).zip(&plugin.manifest.commands);
        self.commands.extend(commands.map(|(index, command)| {
            BoundCommand {
                instance: instance(),
                index,
                name: command.name.clone(),
                doc: command.doc.clone(),
                arguments: command.arguments.clone(),
                timeout: command
                    .timeout_ms
                    .map_or(COMMAND_TIMEOUT, Duration::from_millis),
            }
        }));
        let checks = (0_u32..).zip(&plugin.manifest.checks);
        self.checks.extend(checks.map(|(index, check)| BoundCheck {
            instance: instance(),
            index,
            name: check.name.clone(),
            doc: check.doc.clone(),
        }));
    }

    /// Each schedule is a type that nobody else takes, and a handler of it.
    pub(crate) fn bind_schedules(
        &mut self,
        plugin: &Installed<'_>,
        defaults: &Dispatch,
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        for (index, schedule) in (0_u32..).zip(&plugin.manifest.schedules) {
            let id = format!("{}.{}", plugin.name, schedule.name);
            let operator = overrides.get(&id);
            if operator.is_some_and(|operator| !operator.enabled) {
                continue;
            }
            let author = as_handler(plugin.name, schedule);
            let Ok(ty) = author.ty.parse::<MessageType>() else {
                findings.push(malformed(&id));
                continue;
            };
            let terms = match HandlerTerms::of(defaults, &author, operator) {
                Ok(terms) => terms,
                Err(unknown) => {
                    findings.push(bound::unknown_term(&id, &unknown));
                    continue;
                }
            };
            self.types.add(plugin.name, &tick(schedule, &ty), findings);
            self.handlers.push(BoundHandler {
                id: id.clone(),
                instance: plugin.name.to_owned(),
                kind: HandlerKind::Schedule,
                index,
                doc: schedule.doc.clone(),
                lanes: [(ty.clone(), [ty.to_string()].into())].into(),
                types: vec![ty.clone()],
                ty: ty.clone(),
                terms,
                emits: Vec::new(),
                runs: Vec::new(),
            });
            let of_operator = |pick: fn(&HandlerWiring) -> &Option<String>| {
                operator.and_then(|operator| pick(operator).clone())
            };
            let zone = of_operator(|it| &it.zone).or_else(|| schedule.zone.clone());
            self.schedules.push(BoundSchedule {
                id,
                instance: plugin.name.to_owned(),
                doc: schedule.doc.clone(),
                ty,
                cron: of_operator(|it| &it.cron).unwrap_or_else(|| schedule.cron.clone()),
                zone: zone.unwrap_or_else(|| "UTC".to_owned()),
            });
        }
    }

    /// A time is for what a schedule runs, not for what a message does.
    pub(crate) fn check_times(
        &self,
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        for (id, operator) in overrides {
            let is_schedule = self.schedules.iter().any(|schedule| schedule.id == *id);
            let is_handler = self.handlers.iter().any(|handler| handler.id == *id);
            let given = [("cron", &operator.cron), ("zone", &operator.zone)];
            for (setting, _) in given.iter().filter(|(_, given)| given.is_some()) {
                if is_handler && !is_schedule {
                    findings.push(Finding {
                        id: "time-without-schedule".into(),
                        severity: Severity::Error,
                        subject: format!("wiring.handlers.\"{id}\".{setting}"),
                        message: "messages run this handler, not a schedule".to_owned(),
                        hint: "leave it out, or publish by `[wiring.schedules.NAME]`".to_owned(),
                    });
                }
            }
        }
    }
}

/// The terms that its author gives a schedule, as those of a handler.
fn as_handler(instance: &str, schedule: &manifest::Schedule) -> manifest::Handler {
    manifest::Handler {
        name: schedule.name.clone(),
        doc: schedule.doc.clone(),
        ty: format!("coordinator.schedule.{instance}.{}.v1", schedule.name),
        max_attempts: schedule.max_attempts,
        backoff_ms: schedule.backoff_ms,
        timeout_ms: schedule.timeout_ms,
        backoff_waits_ms: Vec::new(),
        // A tick that is late must not run beside the next one.
        concurrency: Some(1),
        rate: None,
        order: None,
        on_exhausted: None,
        emits: Vec::new(),
        runs: Vec::new(),
    }
}

fn tick(schedule: &manifest::Schedule, ty: &MessageType) -> manifest::Message {
    manifest::Message {
        ty: ty.to_string(),
        doc: schedule.doc.clone(),
        lane: None,
        key: None,
        schema: json!({"type": "object"}),
    }
}

fn malformed(id: &str) -> Finding {
    Finding {
        id: "malformed-schedule".into(),
        severity: Severity::Error,
        subject: id.to_owned(),
        message: "its name cannot be part of a message type".to_owned(),
        hint: "rename it in the plugin: lower-case letters, digits and underscores".to_owned(),
    }
}
