//! Steps one by one, and the pipeline as a script.

use coordinator_sdk::testing::{Call, Host};

use super::*;

fn host() -> Host<Pipeline> {
    Host::new(serde_json::json!({"tax_percent": 10}))
}

fn basket(voucher: Option<&str>, minor: Option<i64>) -> Basket {
    let line = Line {
        sku: "course".to_owned(),
        count: 2,
        minor: 2_450,
    };
    Basket {
        lines: vec![line],
        voucher: voucher.map(str::to_owned),
        minor,
    }
}

#[test]
fn each_step_takes_what_the_one_before_it_made() {
    let host = host();
    let mut value = basket(Some("TEN"), None);
    for step in ["lines", "voucher", "tax"] {
        let flow: Flow<Basket> = host.step(step, &value).expect("the step does its part");
        assert!(!flow.is_halt());
        value = flow.into_value();
    }
    assert_eq!(value.minor, Some(4_290));
}

#[test]
fn a_basket_that_costs_nothing_ends_the_pipeline() {
    let nothing = Basket {
        lines: Vec::new(),
        ..basket(None, None)
    };
    let flow: Flow<Basket> = host().step("lines", &nothing).expect("it adds up");
    assert!(flow.is_halt());
}

#[test]
fn a_voucher_that_nobody_knows_fails_the_pipeline_with_a_reason() {
    let refused = host()
        .step::<_, Basket>("voucher", &basket(Some("ELEVEN"), Some(4_900)))
        .expect_err("nobody knows it");
    assert_eq!((refused.status, &*refused.code), (422, "no-such-voucher"));
}

#[test]
fn a_value_that_does_not_fit_is_refused_by_naming_the_field() {
    let refused = host()
        .step::<_, Basket>("lines", &serde_json::json!({"voucher": null}))
        .expect_err("it has no lines");
    assert_eq!(refused.status, 400);
    assert!(
        refused.detail.contains("missing field `lines`"),
        "{refused:?}"
    );
}

#[test]
fn the_route_answers_what_the_pipeline_does() {
    let host = host();
    host.pipeline("org.example.basket.price.v1", &basket(None, Some(5_390)));
    let answer = host.call(Call::post("/price").json(&basket(None, None)));
    assert_eq!(answer.status, 200);
    host.pipeline_fails("org.example.basket.price.v1", 422, "no-such-voucher");
    let answer = host.call(Call::post("/price").json(&basket(None, None)));
    assert_eq!(
        (answer.status, answer.code.as_deref()),
        (422, Some("no-such-voucher"))
    );
}
