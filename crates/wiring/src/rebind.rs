//! Handlers that an operator binds to other types than their authors did: `on = ["…"]`.

use std::collections::BTreeMap;

use coordinator_config::HandlerWiring;
use coordinator_message::MessageType;

use crate::bind::HandlerKind;
use crate::compare::compare;
use crate::finding::{Finding, Severity};
use crate::{BoundHandler, KnownType, Types, Wiring};

impl Wiring {
    /// Binds them, once every type is known. What the types allow must be what the handler takes.
    pub(crate) fn rebind(
        &mut self,
        overrides: &BTreeMap<String, HandlerWiring>,
        findings: &mut Vec<Finding>,
    ) {
        for handler in &mut self.handlers {
            let on = overrides.get(&handler.id).and_then(|it| it.on.as_ref());
            let Some(on) = on else {
                continue;
            };
            match bind(handler, on, &self.types) {
                Ok(types) => {
                    let lane = |ty: &MessageType| {
                        let known = self.types.get(ty)?;
                        Some((ty.clone(), [known.lane.clone()].into()))
                    };
                    handler.lanes = types.iter().filter_map(lane).collect();
                    handler.types = types;
                }
                Err(wrong) => findings.extend(wrong),
            }
        }
    }
}

fn bind(
    handler: &BoundHandler,
    on: &[String],
    known: &Types,
) -> Result<Vec<MessageType>, Vec<Finding>> {
    let finding = |id: &'static str, message: String, hint: String| Finding {
        id: id.into(),
        severity: Severity::Error,
        subject: format!("wiring.handlers.\"{}\".on", handler.id),
        message,
        hint,
    };
    if handler.kind == HandlerKind::Schedule {
        let message = "a schedule runs it, and no type of messages".to_owned();
        let hint = "take `on` away; `cron` says when it runs".to_owned();
        return Err(vec![finding("schedule-with-types", message, hint)]);
    }
    if on.is_empty() {
        let hint = "name a type, or set `enabled = false`".to_owned();
        let message = "it is bound to no type".to_owned();
        return Err(vec![finding("bound-to-nothing", message, hint)]);
    }
    let (mut types, mut wrong) = (Vec::new(), Vec::new());
    for name in on {
        let ty = name.parse::<MessageType>().ok();
        let Some((ty, there)) = ty.and_then(|ty| Some((ty.clone(), known.get(&ty)?))) else {
            let names = known.iter().map(|(ty, _)| ty.as_str());
            let hint = match coordinator_config::nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a plugin must declare it: see `coordinator graph`".to_owned(),
            };
            wrong.push(finding(
                "unknown-type",
                format!("no plugin knows `{name}`"),
                hint,
            ));
            continue;
        };
        wrong.extend(
            unreadable(handler, &ty, there, known)
                .into_iter()
                .map(|message| {
                    let hint = "bind it to a type whose messages it can read".to_owned();
                    finding("type-schema", message, hint)
                }),
        );
        if !types.contains(&ty) {
            types.push(ty);
        }
    }
    if wrong.is_empty() {
        Ok(types)
    } else {
        Err(wrong)
    }
}

/// What the type's messages may say that the handler does not take.
fn unreadable(
    handler: &BoundHandler,
    ty: &MessageType,
    there: &KnownType,
    known: &Types,
) -> Vec<String> {
    let mut found = Vec::new();
    let own = known.get(&handler.ty).into_iter();
    let own = own.flat_map(KnownType::schemas);
    for (_, own) in own.filter(|(instances, _)| instances.contains(&handler.instance)) {
        for (makers, made) in there.schemas() {
            let maker = makers.first().map(String::as_str).unwrap_or_default();
            let misfits = compare(made, own).misfits;
            found.extend(misfits.iter().map(|misfit| {
                format!("what `{maker}` declares as `{ty}` it does not take: {misfit}")
            }));
        }
    }
    found
}
