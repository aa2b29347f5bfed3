//! Puts together what the steps of a group made of one value: what each of them changed.
//!
//! Objects field by field, lists by what each step appended, in the order of the wiring. Two steps that changed one
//! scalar differently, or rewrote one list, contradict each other: there is no right answer, and none is made up.

use std::sync::Arc;

use coordinator_context::RunError;
use serde_json::{Map, Value};

type Made<'a> = (&'a Arc<str>, &'a Value);

/// The value that `made` make of `base` together.
pub(super) fn together(base: &Value, made: &[(Arc<str>, Value)]) -> Result<Value, RunError> {
    let made: Vec<Made<'_>> = made.iter().map(|(step, value)| (step, value)).collect();
    join(Some(base), &made, &mut String::new())
}

fn join(base: Option<&Value>, made: &[Made<'_>], pointer: &mut String) -> Result<Value, RunError> {
    let base = base.unwrap_or(&Value::Null);
    let changed: Vec<Made<'_>> = made
        .iter()
        .copied()
        .filter(|(_, value)| *value != base)
        .collect();
    match changed.as_slice() {
        [] => Ok(base.clone()),
        [(_, value)] => Ok((*value).clone()),
        several if several.iter().all(|(_, value)| value.is_object()) => {
            objects(base, several, pointer)
        }
        several if several.iter().all(|(_, value)| value.is_array()) => {
            lists(base, several, pointer)
        }
        [(one, first), rest @ ..] => match rest.iter().find(|(_, value)| value != first) {
            None => Ok((*first).clone()),
            Some((other, _)) => Err(conflict(pointer, one, other)),
        },
    }
}

fn objects(base: &Value, made: &[Made<'_>], pointer: &mut String) -> Result<Value, RunError> {
    let mut joined = Map::new();
    for (_, value) in made {
        for field in value.as_object().into_iter().flat_map(Map::keys) {
            if joined.contains_key(field) {
                continue;
            }
            let have = made
                .iter()
                .filter_map(|(step, value)| Some((*step, value.get(field)?)));
            let before = pointer.len();
            pointer.push('/');
            pointer.push_str(&field.replace('~', "~0").replace('/', "~1"));
            let value = join(base.get(field), &have.collect::<Vec<_>>(), pointer)?;
            pointer.truncate(before);
            joined.insert(field.clone(), value);
        }
    }
    Ok(Value::Object(joined))
}

/// Nobody's items are taken for another's, also where they are alike: two systems may know two such orders.
fn lists(base: &Value, made: &[Made<'_>], pointer: &str) -> Result<Value, RunError> {
    let base = base.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut joined = base.to_vec();
    let mut appended_by: Option<&Arc<str>> = None;
    for (step, value) in made {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(appended) = items.strip_prefix(base) else {
            let other =
                appended_by.or_else(|| made.iter().map(|(it, _)| *it).find(|it| it != step));
            return Err(conflict(pointer, other.unwrap_or(step), step));
        };
        joined.extend_from_slice(appended);
        appended_by = Some(step);
    }
    Ok(Value::Array(joined))
}

fn conflict(pointer: &str, one: &Arc<str>, other: &Arc<str>) -> RunError {
    RunError::Conflict {
        pointer: if pointer.is_empty() { "/" } else { pointer }.to_owned(),
        one: Arc::clone(one),
        other: Arc::clone(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn joined(base: Value, made: &[Value]) -> Result<Value, String> {
        let names = ["legacy.orders", "shop.orders", "lms.orders"];
        let made: Vec<(Arc<str>, Value)> = names
            .iter()
            .zip(made)
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect();
        together(&base, &made).map_err(|error| error.to_string())
    }

    #[test]
    fn what_each_appended_follows_in_the_order_of_the_wiring() {
        let value = joined(
            json!({"user": "ada", "orders": [1]}),
            &[
                json!({"user": "ada", "orders": [1, 2]}),
                json!({"user": "ada", "orders": [1, 2, 3]}),
            ],
        );
        assert_eq!(
            value.unwrap(),
            json!({"user": "ada", "orders": [1, 2, 2, 3]})
        );
    }

    #[test]
    fn equal_lists_of_two_systems_are_two_lists() {
        let made = [
            json!({"orders": [{"total": 5}]}),
            json!({"orders": [{"total": 5}]}),
        ];
        let value = joined(json!({"user": "ada"}), &made).unwrap();
        assert_eq!(value, json!({"orders": [{"total": 5}, {"total": 5}]}));
    }

    #[test]
    fn fields_of_all_are_kept_and_what_is_null_gives_way() {
        let value = joined(
            json!({"user": "ada"}),
            &[
                json!({"user": "ada", "name": "Ada", "city": null}),
                json!({"user": "ada", "city": "London", "deep": {"a": 1}}),
                json!({"user": "ada", "deep": {"b": 2}}),
            ],
        );
        let expected =
            json!({"user": "ada", "name": "Ada", "city": "London", "deep": {"a": 1, "b": 2}});
        assert_eq!(value.unwrap(), expected);
    }

    #[test]
    fn two_that_contradict_each_other_are_named_with_the_place() {
        let error = joined(
            json!({"total": 1}),
            &[
                json!({"total": 2}),
                json!({"total": 1}),
                json!({"total": 3}),
            ],
        );
        let error = error.unwrap_err();
        assert!(
            error.starts_with("`/total`: `legacy.orders` and `lms.orders`"),
            "{error}"
        );
        let rewritten = joined(json!([1, 2]), &[json!([1, 2, 3]), json!([2])]).unwrap_err();
        assert!(
            rewritten.contains("`legacy.orders` and `shop.orders`"),
            "{rewritten}"
        );
        assert_eq!(
            joined(json!(1), &[json!(2), json!(2)]),
            Ok(json!(2)),
            "they agree"
        );
    }
}
