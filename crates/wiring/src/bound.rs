//! What is odd about handlers that are bound: terms that do nothing, types that nobody handles.

use std::collections::BTreeMap;

use coordinator_config::{HandlerWiring, OnExhausted, Order};

use crate::compare::compare;
use crate::finding::{Finding, Severity};
use crate::terms::UnknownTerm;
use crate::{BoundHandler, Wiring};

pub(crate) fn unknown_term(handler: &str, unknown: &UnknownTerm) -> Finding {
    Finding {
        id: "unknown-term".into(),
        severity: Severity::Error,
        subject: handler.to_owned(),
        message: unknown.to_string(),
        hint: "the plugin was built for a newer host: install that, or switch this handler off"
            .to_owned(),
    }
}

impl Wiring {
    /// Terms that ask for what the handler cannot have.
    pub(crate) fn check_order(
        &self,
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        for handler in &self.handlers {
            let (order, given_up) = (handler.terms.order, handler.terms.on_exhausted);
            if order == Order::None && given_up != OnExhausted::DeadLetter {
                let operator = overrides.get(&handler.id);
                findings.push(no_key_to_hold(handler, given_up, operator.is_some()));
            }
            let known = self.types.get(&handler.ty);
            if order == Order::Key && known.is_some_and(|known| known.key.is_none()) {
                findings.push(Finding {
                    id: "order-without-key".into(),
                    severity: Severity::Warning,
                    subject: handler.id.clone(),
                    message: format!(
                        "it keeps the order of ordering keys, and no plugin declares one for `{}`",
                        handler.ty
                    ),
                    hint: "declare it: `#[message(\"…\", key = \"field\")]`".to_owned(),
                });
            }
        }
    }

    /// Who takes a type must accept what those allow who only publish it.
    pub(crate) fn check_schemas(&self, findings: &mut Vec<Finding>) {
        for (ty, known) in self.types.iter() {
            let takes = |instance: &String| {
                let mut handlers = self.handlers.iter();
                handlers.any(|handler| handler.instance == *instance && handler.ty == *ty)
            };
            for (makers, made) in known.schemas() {
                let Some(maker) = makers.iter().find(|instance| !takes(instance)) else {
                    continue;
                };
                for (takers, taken) in known.schemas() {
                    let Some(taker) = takers.iter().find(|instance| takes(instance)) else {
                        continue;
                    };
                    let compared = compare(made, taken);
                    let subject = format!("{ty}: {maker} → {taker}");
                    findings.extend(compared.misfits.iter().map(|misfit| Finding {
                        id: "type-schema".into(),
                        severity: Severity::Error,
                        subject: subject.clone(),
                        message: format!(
                            "what `{maker}` publishes, `{taker}` does not take: {misfit}"
                        ),
                        hint: "declare the type once, in a crate that both plugins use".to_owned(),
                    }));
                    findings.extend(compared.unknown.iter().map(|at| Finding {
                        id: "type-schema-unknown".into(),
                        severity: Severity::Warning,
                        subject: subject.clone(),
                        message: format!("`{at}`: cannot compare the schemas there"),
                        hint: "what does not fit is refused when it is published".to_owned(),
                    }));
                }
            }
        }
    }

    /// Types that no handler takes: what is published of them is kept, and delivered to nobody.
    pub(crate) fn check_types(&self, findings: &mut Vec<Finding>) {
        for (ty, _) in self.types.iter() {
            if !self.handlers.iter().any(|it| it.types.contains(ty)) {
                findings.push(Finding {
                    id: "type-without-handler".into(),
                    severity: Severity::Warning,
                    subject: ty.to_string(),
                    message: "no handler takes it: what is published is kept and not delivered"
                        .to_owned(),
                    hint:
                        "install or switch on a plugin that handles it, unless others only read it"
                            .to_owned(),
                });
            }
        }
    }
}

fn no_key_to_hold(handler: &BoundHandler, given_up: OnExhausted, operator: bool) -> Finding {
    let word = given_up.as_str();
    let subject = if operator {
        format!("wiring.handlers.\"{}\".on_exhausted", handler.id)
    } else {
        handler.id.clone()
    };
    Finding {
        id: "exhausted-without-order".into(),
        severity: Severity::Error,
        subject,
        message: format!(
            "`{word}` is about the messages of one key, and the handler keeps no order"
        ),
        hint: "set `order = \"key\"` beside it, or `on_exhausted = \"dead-letter\"`".to_owned(),
    }
}
