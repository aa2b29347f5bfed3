//! What plugins have beside handlers and routes, through the host's door and from real files: pipelines, commands,
//! schedules, checks, flags, and everything that they ask the host for.

mod asking;
mod pipelines;

use coordinator_tests::{Answer, Builder, TestHouse};
use serde_json::{Value, json};

const PRICE: &str = "org.example.basket.price.v1";
const ORDER: &str = "org.example.workshop.order.v1";
const SEEN: &str = "org.example.workshop.seen.v1";

fn basket(voucher: Option<&str>) -> Value {
    let lines = [json!({"sku": "course", "count": 2, "minor": 2_450})];
    json!({"lines": lines, "voucher": voucher, "minor": null})
}

/// The example that prices a basket in three steps.
fn prices() -> Builder {
    TestHouse::builder()
        .plugin("pipeline", "pipeline", "")
        .config(&format!(
            "[wiring.pipelines.\"{PRICE}\"]\npublic = true\n\
         steps = [\"pipeline.lines\", \"pipeline.voucher\", \"pipeline.tax\"]"
        ))
}

/// The workshop, whose schedule does not tick.
fn workshop(settings: &str) -> Builder {
    TestHouse::builder()
        .plugin("workshop", "coordinator_workshop", settings)
        .config("[wiring.handlers.\"workshop.strike\"]\nenabled = false")
}

fn order(steps: &str) -> String {
    format!("[wiring.pipelines.\"{ORDER}\"]\npublic = true\nsteps = {steps}")
}

fn run(house: &TestHouse, pipeline: &str, input: &Value) -> Answer {
    let ask = house.ask("POST", &format!("/api/v1/pipelines/{pipeline}"));
    ask.key().json(input).send()
}

fn attempt(house: &TestHouse, what: &str, key: &str) -> Value {
    attempt_at(house, "workshop", what, key).is(200).json()
}

fn attempt_at(house: &TestHouse, instance: &str, what: &str, key: &str) -> Answer {
    let ask = house.ask("POST", &format!("/{instance}/try"));
    ask.json(&json!({"what": what, "key": key})).send()
}

fn steps(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = answer["steps"].as_array().expect("it lists its steps");
    steps
        .iter()
        .map(|step| (text(&step["step"]), text(&step["outcome"])))
        .collect()
}
