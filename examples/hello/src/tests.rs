//! Without a server: the test host of the SDK.

use coordinator_sdk::testing::{Call, Host};

use super::*;

#[test]
fn a_greeting_that_is_asked_for_is_published_and_handled() {
    let host = Host::<Hello>::new(serde_json::json!({}));
    let answer = host.call(Call::post("/greetings").json(&serde_json::json!({"name": "Ada"})));
    assert_eq!(answer.status, 202);
    let asked: Vec<GreetingAsked> = host.published();
    assert_eq!(asked[0].name, "Ada");
    host.deliver(&asked[0]).expect("it greets");
}

#[test]
fn a_body_of_another_shape_is_refused_by_naming_the_field() {
    let host = Host::<Hello>::new(serde_json::json!({}));
    let answer = host.call(Call::post("/greetings").body("{}"));
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("missing field `name`"));
}
