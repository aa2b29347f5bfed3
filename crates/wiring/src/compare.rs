//! Does one JSON Schema accept everything that another allows? For the subset that `#[message]` and `#[data]` emit:
//! object, map, list, scalar, enum, optional, one of several. What else it says cannot be compared, and is told as that.

mod limits;
mod shape;

use std::fmt;

use serde_json::Value;

use shape::{Shape, alternatives, kinds};

/// What comparing two schemas found; nothing at all means that everything fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is allowed on one side and not accepted on the other.
    pub misfits: Vec<Misfit>,
    /// What could not be compared, as pointers to values.
    pub unknown: Vec<String>,
}

/// A value that one schema allows and the other does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer to the value ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)); `*` stands for every item.
    pub pointer: String,
    /// What does not fit.
    pub reason: String,
}

impl Comparison {
    /// Is everything accepted, as far as it can be told?
    #[must_use]
    pub fn fits(&self) -> bool {
        self.misfits.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.reason),
            pointer => write!(f, "`{pointer}`: {}", self.reason),
        }
    }
}

/// Deeper than any honest payload: schemas that refer to themselves end here.
const MAX_DEPTH: usize = 32;

/// Holds what `produced` allows against what `accepted` takes.
#[must_use]
pub fn compare(produced: &Value, accepted: &Value) -> Comparison {
    if produced == accepted {
        return Comparison::default();
    }
    let mut found = Comparison::default();
    let pair = Pair {
        produced: Shape::root(produced),
        accepted: Shape::root(accepted),
        depth: 0,
    };
    pair.compare("", &mut found);
    found
}

/// Two schemas at one place.
#[derive(Clone, Copy)]
struct Pair<'a> {
    produced: Shape<'a>,
    accepted: Shape<'a>,
    depth: usize,
}

impl<'a> Pair<'a> {
    fn below(self, produced: &'a Value, accepted: &'a Value) -> Self {
        Self {
            produced: self.produced.at(produced),
            accepted: self.accepted.at(accepted),
            depth: self.depth + 1,
        }
    }

    /// Everything that the produced side may be must be something that the accepted side takes.
    fn compare(self, pointer: &str, found: &mut Comparison) {
        let (Some(produced), Some(accepted)) = (self.produced.resolved(), self.accepted.resolved())
        else {
            found.unknown.push(pointer.to_owned());
            return;
        };
        // A type that holds itself was compared one level up.
        if accepted.takes_anything() || self.depth > MAX_DEPTH {
            return;
        }
        if !accepted.is_known() || !produced.is_known() {
            if produced.json() != accepted.json() {
                found.unknown.push(pointer.to_owned());
            }
            return;
        }
        let takes = alternatives(accepted);
        for may_be in alternatives(produced) {
            self.one(may_be, &takes, pointer, found);
        }
    }

    /// One thing that it may be, against all that is taken.
    fn one(self, may_be: Shape<'a>, takes: &[Shape<'a>], pointer: &str, found: &mut Comparison) {
        if let Some(words) = may_be.words() {
            return found
                .misfits
                .extend(limits::words(words, takes).map(|reason| Misfit {
                    pointer: pointer.to_owned(),
                    reason,
                }));
        }
        let kind = may_be.kind();
        let fitting: Vec<Shape<'a>> = takes
            .iter()
            .copied()
            .filter(|taken| kinds::accepts(taken.kind(), kind))
            .collect();
        let mut nearest: Option<Comparison> = None;
        for taken in fitting {
            let mut tried = Comparison::default();
            let pair = Self {
                produced: may_be,
                accepted: taken,
                depth: self.depth,
            };
            pair.same_kind(pointer, &mut tried);
            if tried.fits() {
                found.unknown.extend(tried.unknown);
                return;
            }
            if nearest
                .as_ref()
                .is_none_or(|best| tried.misfits.len() < best.misfits.len())
            {
                nearest = Some(tried);
            }
        }
        match nearest {
            Some(tried) => {
                found.misfits.extend(tried.misfits);
                found.unknown.extend(tried.unknown);
            }
            None => found.misfits.push(Misfit {
                pointer: pointer.to_owned(),
                reason: format!(
                    "may be {}, and {} is accepted",
                    kinds::name(kind),
                    kinds::names(takes)
                ),
            }),
        }
    }

    fn same_kind(self, pointer: &str, found: &mut Comparison) {
        let (produced, accepted) = (self.produced, self.accepted);
        if accepted.words().is_some() {
            let reason = format!(
                "may be any {}, and {} is accepted",
                kinds::bare(produced.kind()),
                limits::listed(&[accepted])
            );
            return found.misfit(pointer, reason);
        }
        match produced.kind() {
            Some("object") => self.objects(pointer, found),
            Some("array") => self.lists(pointer, found),
            Some("integer" | "number") => {
                if let Some(reason) = limits::numbers(produced, accepted) {
                    found.misfit(pointer, reason);
                }
            }
            Some("string") if !limits::texts_are_alike(produced, accepted) => {
                found.unknown.push(pointer.to_owned());
            }
            _ => {}
        }
    }

    fn objects(self, pointer: &str, found: &mut Comparison) {
        let (produced, accepted) = (self.produced, self.accepted);
        for field in accepted.required() {
            if produced.field(field).is_none() {
                found.misfit(
                    &below(pointer, field),
                    "is required and never given".to_owned(),
                );
            } else if !produced.required().any(|given| given == field) {
                found.misfit(
                    &below(pointer, field),
                    "is required and may be absent".to_owned(),
                );
            }
        }
        for (field, may_be) in produced.fields() {
            let at = below(pointer, field);
            match (accepted.field(field), accepted.others()) {
                (Some(taken), _) => self.below(may_be, taken).compare(&at, found),
                (None, Some(Value::Bool(false))) => {
                    found.misfit(&at, "is given and not accepted".to_owned());
                }
                (None, Some(taken)) => self.below(may_be, taken).compare(&at, found),
                (None, None) => {}
            }
        }
        // A map: what its values may be.
        if let (Some(may_be @ Value::Object(_)), Some(taken)) =
            (produced.others(), accepted.others())
        {
            self.below(may_be, taken)
                .compare(&below(pointer, "*"), found);
        }
    }

    fn lists(self, pointer: &str, found: &mut Comparison) {
        let (produced, accepted) = (self.produced, self.accepted);
        if produced.get("prefixItems") != accepted.get("prefixItems")
            || !limits::lengths_are_alike(produced, accepted)
        {
            found.unknown.push(pointer.to_owned());
            return;
        }
        match (produced.get("items"), accepted.get("items")) {
            (Some(may_be), Some(taken)) => {
                self.below(may_be, taken)
                    .compare(&below(pointer, "*"), found);
            }
            (None, Some(taken)) => self
                .below(&Value::Bool(true), taken)
                .compare(&below(pointer, "*"), found),
            (_, None) => {}
        }
    }
}

impl Comparison {
    fn misfit(&mut self, pointer: &str, reason: String) {
        self.misfits.push(Misfit {
            pointer: pointer.to_owned(),
            reason,
        });
    }
}

fn below(pointer: &str, field: &str) -> String {
    let field = field.replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{field}")
}

#[cfg(test)]
mod tests;
