//! `KEY=VALUE` on a command line, and what the value is: nobody should have to quote it for JSON and for a shell.

use serde_json::Value;

/// `KEY=VALUE`, the value as it was typed.
pub(super) fn words(text: &str) -> Result<(String, String), String> {
    let Some((key, value)) = text.split_once('=') else {
        return Err("expected KEY=VALUE".to_owned());
    };
    if key.trim().is_empty() {
        return Err("expected KEY=VALUE, and the key is empty".to_owned());
    }
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// `KEY=VALUE`, the value as JSON where it is that, else as text.
pub(super) fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = words(text)?;
    Ok((key, guessed(&value)))
}

/// As JSON where it is that, else as text.
pub(super) fn guessed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// As `schema`, of a table, has the value of this key: `007` and `true` are text where nothing else is taken. Text in
/// JSON's quotes is what they hold.
pub(super) fn typed(schema: &Value, key: &str, text: &str) -> Value {
    match (takes_text(schema, key), guessed(text)) {
        (true, quoted @ Value::String(_)) => quoted,
        (true, _) => Value::from(text),
        (false, value) => value,
    }
}

/// Is the value of this key text, and nothing else? The parts of a key are separated by dots.
fn takes_text(schema: &Value, key: &str) -> bool {
    let mut part = Some(schema);
    for name in key.split('.') {
        let table = part.map(|part| resolved(schema, part));
        part = table.and_then(|table| table.get("properties")?.get(name));
    }
    let Some(part) = part.map(|part| resolved(schema, part)) else {
        return false;
    };
    let alternatives = ["anyOf", "oneOf"].map(|one_of| part.get(one_of).and_then(Value::as_array));
    let alternatives = alternatives.into_iter().flatten().flatten();
    let alternatives = alternatives.map(|alternative| resolved(schema, alternative));
    let kinds = std::iter::once(part).chain(alternatives).flat_map(kinds);
    let kinds: Vec<&str> = kinds.filter(|kind| *kind != "null").collect();
    !kinds.is_empty() && kinds.iter().all(|kind| *kind == "string")
}

/// The JSON types that a schema names itself.
pub(super) fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a reference into the schema's own `$defs` stands for.
fn resolved<'a>(schema: &'a Value, part: &'a Value) -> &'a Value {
    let place = part.get("$ref").and_then(Value::as_str);
    let place = place.and_then(|place| place.strip_prefix('#'));
    place
        .and_then(|place| schema.pointer(place))
        .unwrap_or(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_is_text_where_the_schema_takes_text_and_json_elsewhere() {
        let schema = json!({
            "properties": {
                "account": {"type": "string"},
                "note": {"type": ["string", "null"]},
                "token": {"$ref": "#/$defs/Secret"},
                "mode": {"anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}]},
                "limit": {"type": "integer"},
                "either": {"type": ["string", "integer"]},
                "names": {"type": "array", "items": {"type": "string"}},
                "within": {"$ref": "#/$defs/Within"},
            },
            "$defs": {
                "Secret": {"type": "string"},
                "Mode": {"type": "string", "enum": ["on", "off"]},
                "Within": {"properties": {"name": {"type": "string"}, "most": {"type": "integer"}}},
            },
        });
        let of = |key, text| typed(&schema, key, text);
        assert_eq!(of("account", "007"), json!("007"));
        assert_eq!(of("account", "12345"), json!("12345"));
        assert_eq!(of("account", "\"in quotes\""), json!("in quotes"));
        assert_eq!(of("note", "null"), json!("null"));
        assert_eq!(of("token", "env:TOKEN"), json!("env:TOKEN"));
        assert_eq!(of("mode", "true"), json!("true"));
        assert_eq!(of("limit", "5"), json!(5));
        assert_eq!(
            of("limit", "five"),
            json!("five"),
            "the host says what is wrong"
        );
        assert_eq!(of("either", "5"), json!(5));
        assert_eq!(of("names", "[\"a\"]"), json!(["a"]));
        assert_eq!(of("within.name", "5"), json!("5"));
        assert_eq!(of("within.most", "5"), json!(5));
        assert_eq!(of("unknown", "5"), json!(5));
    }
}
