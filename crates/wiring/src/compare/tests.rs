//! What fits into what, as the macros write schemas.

use serde_json::{Value, json};

use super::*;

fn told(produced: Value, accepted: Value) -> Vec<String> {
    let Comparison { misfits, unknown } = compare(&produced, &accepted);
    let unknown = unknown.iter().map(|at| format!("{at}: cannot compare"));
    misfits
        .iter()
        .map(ToString::to_string)
        .chain(unknown)
        .collect()
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn a_field_that_is_required_must_always_be_given() {
    let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
    let accepted = object(json!({"order": text, "total": number}), &["order", "total"]);
    let missing = object(json!({"order": text}), &["order"]);
    assert_eq!(
        told(missing, accepted.clone()),
        ["`/total`: is required and never given"]
    );
    let optional = object(json!({"order": text, "total": number}), &["order"]);
    assert_eq!(
        told(optional, accepted.clone()),
        ["`/total`: is required and may be absent"]
    );
    let more = object(
        json!({"order": text, "total": number, "note": text}),
        &["order", "total", "note"],
    );
    assert_eq!(told(more, accepted), [""; 0]);
}

#[test]
fn a_field_of_another_kind_is_named_however_deep_it_is() {
    let line = |price: Value| object(json!({"price": price}), &["price"]);
    let order = |price: Value| {
        object(
            json!({"lines": {"type": "array", "items": line(price)}}),
            &["lines"],
        )
    };
    let found = told(
        order(json!({"type": "string"})),
        order(json!({"type": "integer"})),
    );
    assert_eq!(
        found,
        ["`/lines/*/price`: may be text, and a whole number is accepted"]
    );
    let found = told(
        order(json!({"type": "integer"})),
        order(json!({"type": "number"})),
    );
    assert_eq!(found, [""; 0], "a whole number is a number");
}

#[test]
fn what_may_be_null_fits_only_where_null_is_accepted() {
    let text = json!({"type": "string"});
    let optional = json!({"type": ["string", "null"]});
    assert_eq!(told(text.clone(), optional.clone()), [""; 0]);
    assert_eq!(told(optional, text), ["may be null, and text is accepted"]);
    let defs = json!({"Address": object(json!({"city": {"type": "string"}}), &["city"])});
    let maybe = json!({"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "$defs": defs});
    let always = json!({"$ref": "#/$defs/Address", "$defs": defs});
    assert_eq!(told(always.clone(), maybe.clone()), [""; 0]);
    assert_eq!(
        told(maybe, always),
        ["may be null, and an object is accepted"]
    );
}

#[test]
fn the_words_of_an_enum_must_be_among_those_accepted() {
    let state = |words: Value| json!({"type": "string", "enum": words});
    let found = told(
        state(json!(["paid", "lost"])),
        state(json!(["paid", "open"])),
    );
    assert_eq!(found, [r#"may be "lost", and "paid", "open" is accepted"#]);
    assert_eq!(
        told(state(json!(["paid"])), state(json!(["paid", "open"]))),
        [""; 0]
    );
    assert_eq!(
        told(state(json!(["paid"])), json!({"type": "string"})),
        [""; 0]
    );
    let documented =
        json!({"oneOf": [{"const": "paid"}, {"const": "open", "description": "Not yet."}]});
    assert_eq!(
        told(state(json!(["paid", "open"])), documented.clone()),
        [""; 0]
    );
    let any = told(json!({"type": "string"}), state(json!(["paid"])));
    assert_eq!(any, [r#"may be any text, and "paid" is accepted"#]);
    assert_eq!(told(documented, state(json!(["open", "paid"]))), [""; 0]);
}

#[test]
fn ranges_come_from_bounds_and_formats() {
    let number = |format: &str| json!({"type": "integer", "format": format});
    assert_eq!(told(number("int32"), number("int64")), [""; 0]);
    assert_eq!(
        told(number("int64"), number("uint32")),
        ["may be below 0, which is the least accepted"]
    );
    let percent = json!({"type": "integer", "minimum": 0, "maximum": 100});
    assert_eq!(
        told(number("uint8"), percent),
        ["may be above 100, which is the most accepted"]
    );
}

#[test]
fn what_is_not_known_is_said_to_be_so_unless_both_say_the_same() {
    let odd = json!({"allOf": [{"type": "object"}]});
    assert_eq!(
        told(json!({"type": "object"}), odd.clone()),
        [": cannot compare"]
    );
    assert_eq!(told(odd.clone(), odd), [""; 0]);
    let link = json!({"type": "string", "format": "uri"});
    assert_eq!(
        told(json!({"type": "string"}), link.clone()),
        [": cannot compare"]
    );
    assert_eq!(told(link, json!({"type": "string"})), [""; 0]);
}

#[test]
fn a_type_that_holds_itself_is_compared_and_ends() {
    let tree = |leaf: &str| {
        let node = object(
            json!({"leaf": {"type": leaf}, "under": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}),
            &["leaf"],
        );
        json!({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    };
    let found = told(tree("string"), tree("integer"));
    assert_eq!(
        found[0],
        "`/leaf`: may be text, and a whole number is accepted"
    );
}

#[test]
fn anything_is_accepted_where_nothing_is_asked_and_too_much_where_something_is() {
    assert_eq!(told(json!(true), json!(true)), [""; 0]);
    assert_eq!(told(json!({"type": "object"}), json!(true)), [""; 0]);
    assert_eq!(
        told(json!(true), json!({"type": "object"})),
        ["may be anything, and an object is accepted"]
    );
}
