//! A schema at one place: its keywords read, its references followed.

use serde_json::{Map, Value};

/// A schema, and the document that its references point into.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    root: &'a Value,
    json: &'a Value,
    /// The one kind that is meant, where the schema lists several.
    only: Option<&'a str>,
}

/// Words about a schema, not about values.
const ANNOTATIONS: [&str; 12] = [
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// What the macros emit.
const KNOWN: [&str; 21] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// References of references; more is a circle.
const MAX_REFERENCES: usize = 16;

impl<'a> Shape<'a> {
    pub(super) fn root(json: &'a Value) -> Self {
        Self {
            root: json,
            json,
            only: None,
        }
    }

    /// Another place of the same document.
    pub(super) fn at(self, json: &'a Value) -> Self {
        Self {
            json,
            only: None,
            ..self
        }
    }

    pub(super) fn json(self) -> &'a Value {
        self.json
    }

    /// Itself, or what it refers to. `None` if that is not in the document.
    pub(super) fn resolved(self) -> Option<Self> {
        let mut shape = self;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = shape.get("$ref").and_then(Value::as_str) else {
                return Some(shape);
            };
            let target = reference.strip_prefix('#')?;
            shape = shape.at(shape.root.pointer(target)?);
        }
        None
    }

    pub(super) fn get(self, keyword: &str) -> Option<&'a Value> {
        self.keywords()?.get(keyword)
    }

    fn keywords(self) -> Option<&'a Map<String, Value>> {
        self.json.as_object()
    }

    /// Does it say nothing about values?
    pub(super) fn takes_anything(self) -> bool {
        match self.json {
            Value::Bool(takes) => *takes,
            Value::Object(keywords) => keywords
                .keys()
                .all(|keyword| ANNOTATIONS.contains(&keyword.as_str())),
            _ => false,
        }
    }

    /// Does it say only what can be compared?
    pub(super) fn is_known(self) -> bool {
        match self.json {
            Value::Bool(_) => true,
            Value::Object(keywords) => keywords.keys().all(|keyword| {
                ANNOTATIONS.contains(&keyword.as_str()) || KNOWN.contains(&keyword.as_str())
            }),
            _ => false,
        }
    }

    /// The one kind of value that it is about, if that can be told.
    pub(super) fn kind(self) -> Option<&'a str> {
        if let Some(only) = self.only {
            return Some(only);
        }
        match self.get("type") {
            Some(Value::String(kind)) => Some(kind),
            _ => {
                let mut kinds = self.words()?.iter().map(kind_of);
                let first = kinds.next()?;
                kinds.all(|kind| kind == first).then_some(first)
            }
        }
    }

    /// The values that it lists, if it lists them.
    pub(super) fn words(self) -> Option<&'a [Value]> {
        if let Some(word) = self.get("const") {
            return Some(std::slice::from_ref(word));
        }
        self.get("enum")?.as_array().map(Vec::as_slice)
    }

    pub(super) fn fields(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    pub(super) fn field(self, name: &str) -> Option<&'a Value> {
        self.get("properties")?.get(name)
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'a str> {
        let required = self.get("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// What fields without a name of their own may be.
    pub(super) fn others(self) -> Option<&'a Value> {
        self.get("additionalProperties")
    }
}

pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Everything that a schema may be, each of one kind: what is optional, one of several, or of several kinds.
pub(super) fn alternatives(shape: Shape<'_>) -> Vec<Shape<'_>> {
    let mut found = Vec::new();
    collect(shape, &mut found, 0);
    found
}

fn collect<'a>(shape: Shape<'a>, found: &mut Vec<Shape<'a>>, depth: usize) {
    let Some(shape) = shape.resolved().filter(|_| depth < MAX_REFERENCES) else {
        return;
    };
    let several = shape.get("anyOf").or_else(|| shape.get("oneOf"));
    if let Some(Value::Array(several)) = several {
        for one in several {
            collect(shape.at(one), found, depth + 1);
        }
        return;
    }
    match shape.get("type") {
        Some(Value::Array(kinds)) => {
            found.extend(kinds.iter().filter_map(Value::as_str).map(|kind| Shape {
                only: Some(kind),
                ..shape
            }))
        }
        _ => found.push(shape),
    }
}

/// Kinds of values, by their names in JSON Schema.
pub(super) mod kinds {
    use super::Shape;

    /// `None` is any kind.
    pub(in super::super) fn accepts(accepted: Option<&str>, produced: Option<&str>) -> bool {
        match (accepted, produced) {
            (None, _) => true,
            (Some("number"), Some("integer")) => true,
            (accepted, produced) => accepted == produced,
        }
    }

    pub(in super::super) fn name(kind: Option<&str>) -> &str {
        match kind {
            Some("object") => "an object",
            Some("array") => "a list",
            Some("string") => "text",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("null") => "null",
            Some(other) => other,
            None => "anything",
        }
    }

    /// Without an article.
    pub(in super::super) fn bare(kind: Option<&str>) -> &str {
        let name = name(kind);
        name.split_once(' ')
            .filter(|(article, _)| ["a", "an"].contains(article))
            .map_or(name, |(_, noun)| noun)
    }

    pub(in super::super) fn names(takes: &[Shape<'_>]) -> String {
        let mut names: Vec<&str> = takes.iter().map(|taken| name(taken.kind())).collect();
        names.dedup();
        match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join(" or "),
        }
    }
}
