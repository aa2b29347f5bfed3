//! Whatever is sent, the answer is a 4xx that says why; never a 500, and the host lives.

use coordinator_sandbox::stripe;
use coordinator_tests::{API_KEY, Answer, Ask, Payment, STRIPE_SECRET, TestHouse};
use serde_json::{Value, json};

const FULFILMENT: &str = "org.openedx.fulfilment.completed.v1";

fn house() -> TestHouse {
    TestHouse::builder().payments().start()
}

/// The refusal has this status and code, and says why.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> String {
    let answer = answer.is(status);
    let (found, detail) = answer.problem();
    assert_eq!(found, code, "{detail}");
    assert!(!detail.is_empty(), "`{code}` gives no reason");
    detail
}

/// The host is unhurt, and has stored nothing.
#[track_caller]
fn nothing_happened(house: &TestHouse) {
    assert_eq!(house.get("/readyz")["status"], "ok");
    let stored = house.list("/api/v1/messages");
    assert!(stored.is_empty(), "{stored:#?}");
    let log = house.log().lines();
    // An error asks a person to act: nobody need act because somebody sent nonsense.
    let bad = |line: &&String| line.contains("panicked") || line.contains("\"level\":\"ERROR\"");
    assert_eq!(log.iter().find(bad), None);
}

fn webhook(house: &TestHouse, body: &str) -> Ask {
    Ask::new("POST", &format!("{}/stripe/webhook", house.url()))
        .header("content-type", "application/json")
        .body(body)
}

#[test]
fn a_webhook_whose_signature_is_not_good_is_refused() {
    let house = house();
    let body = Payment::numbered(1).body();
    let signed = |signature: &str| {
        webhook(&house, &body)
            .header("stripe-signature", signature)
            .send()
    };
    refused(webhook(&house, &body).send(), 400, "signature-missing");
    for malformed in ["", "v1", "t=,v1=", "t=now,v1=00", "v1=00", "t=1"] {
        refused(signed(malformed), 400, "signature-malformed");
    }
    let wrong = stripe::sign("whsec_another", now(), body.as_bytes());
    refused(signed(&wrong), 401, "signature-mismatch");
    let of_another = stripe::sign(STRIPE_SECRET, now(), b"{}");
    refused(signed(&of_another), 401, "signature-mismatch");
    let old = stripe::sign(STRIPE_SECRET, now() - 600, body.as_bytes());
    refused(signed(&old), 401, "signature-too-old");
    let early = stripe::sign(STRIPE_SECRET, now() + 600, body.as_bytes());
    refused(signed(&early), 401, "signature-in-future");
    nothing_happened(&house);
}

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.expect("it is later than 1970").as_secs()
}

#[test]
fn a_signed_body_that_is_not_an_event_is_refused() {
    let house = house();
    let url = house.url();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let no_amount = Payment::numbered(1)
        .body()
        .replace("amount_received", "amount_sent");
    let other_money = Payment::numbered(1)
        .body()
        .replace("\"usd\"", "\"dollars\"");
    for body in [
        "",
        "not json",
        "{",
        "null",
        "[]",
        "\"text\"",
        "{}",
        "{\"id\": 5}",
        &deep,
        &no_amount,
    ] {
        refused(Payment::signed(&url, body).send(), 400, "malformed-body");
    }
    refused(
        Payment::signed(&url, &other_money).send(),
        400,
        "bad-request",
    );
    let latin = stripe::sign(STRIPE_SECRET, now(), b"\xff\xfe{");
    let latin = house
        .ask("POST", "/stripe/webhook")
        .header("stripe-signature", &latin)
        .body(*b"\xff\xfe{");
    refused(latin.send(), 400, "malformed-body");
    nothing_happened(&house);
}

#[test]
fn an_event_of_another_type_is_ignored_and_said_to_be() {
    let house = house();
    let mut other = Payment::numbered(1);
    other.template.event_type = "invoice.paid".to_owned();
    let answer = Payment::signed(&house.url(), &other.body()).send().is(200);
    assert_eq!(
        answer.json(),
        json!({"status": "ignored", "type": "invoice.paid"})
    );
    nothing_happened(&house);
}

#[test]
fn a_request_that_is_too_large_is_refused() {
    let house = house();
    let large = " ".repeat(2 << 20);
    refused(
        Payment::signed(&house.url(), &large).send(),
        413,
        "body-too-large",
    );
    let publish = house.ask("POST", "/api/v1/messages").key();
    let publish = publish.header("content-type", "application/cloudevents+json");
    refused(publish.body(large).send(), 413, "body-too-large");

    let mut many = house.ask("GET", "/livez");
    for n in 0..300 {
        many = many.header(&format!("x-header-{n}"), "value");
    }
    let status = many.send().status;
    assert!((400..500).contains(&status), "{status}");
    let long = format!("/{}", "a".repeat(200_000));
    let status = house.ask("GET", &long).send().status;
    assert!((400..500).contains(&status), "{status}");
    nothing_happened(&house);
}

#[test]
fn a_path_or_a_method_that_is_not_there_is_said_to_be_so() {
    let house = house();
    refused(
        house.ask("GET", "/nothing/here").send(),
        404,
        "no-such-route",
    );
    refused(house.ask("GET", "/stripe").send(), 404, "no-such-route");
    let answer = house.ask("GET", "/stripe/webhook").send();
    assert_eq!(answer.header("allow"), Some("POST"));
    refused(answer, 405, "method-not-allowed");
    for (method, path, allow) in [
        ("DELETE", "/api/v1/messages", "GET, POST"),
        ("GET", "/api/v1/handlers/lms.enrol/pause", "POST"),
        ("POST", "/readyz", "GET"),
    ] {
        let answer = house.ask(method, path).key().send();
        assert_eq!(answer.header("allow"), Some(allow));
        refused(answer, 405, "method-not-allowed");
    }
    refused(
        house.ask("GET", "/api/v1/nothing").key().send(),
        404,
        "no-such-resource",
    );
    nothing_happened(&house);
}

#[test]
fn the_api_asks_for_its_key() {
    let house = house();
    let id = "01a2038f-1f44-7f78-987c-3ef45bef987a";
    let paths = [
        ("GET", "/api/v1/messages".to_owned()),
        ("POST", "/api/v1/messages".to_owned()),
        ("GET", format!("/api/v1/messages/{id}")),
        ("POST", format!("/api/v1/messages/{id}/replay")),
        ("POST", format!("/api/v1/messages/{id}/discard")),
        ("GET", "/api/v1/messages/tail".to_owned()),
        ("POST", "/api/v1/replays".to_owned()),
        ("GET", "/api/v1/dead-letters".to_owned()),
        ("POST", format!("/api/v1/dead-letters/{id}/replay")),
        ("POST", format!("/api/v1/dead-letters/{id}/discard")),
        ("POST", "/api/v1/dead-letters/replay".to_owned()),
        ("POST", "/api/v1/dead-letters/discard".to_owned()),
        ("GET", "/api/v1/handlers".to_owned()),
        ("POST", "/api/v1/handlers/lms.enrol/pause".to_owned()),
        ("POST", "/api/v1/handlers/lms.enrol/resume".to_owned()),
        ("POST", "/api/v1/handlers/lms.enrol/skip".to_owned()),
        ("GET", "/api/v1/plugins".to_owned()),
    ];
    let near = format!("Bearer {}", &API_KEY[..API_KEY.len() - 1]);
    for (method, path) in paths {
        let ask = || house.ask(method, &path);
        let answer = ask().send();
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        refused(answer, 401, "unauthorized");
        for wrong in [
            "Bearer guess",
            "Bearer ",
            "Basic dXNlcjpwYXNz",
            "",
            &near,
            API_KEY,
        ] {
            refused(
                ask().header("authorization", wrong).send(),
                401,
                "unauthorized",
            );
        }
    }
    assert_eq!(house.handler("lms.enrol")["state"], "running");
    nothing_happened(&house);
}

#[test]
fn query_parameters_that_do_not_parse_are_named() {
    let house = house();
    for (query, code) in [
        ("limit=0", "malformed-parameter"),
        ("limit=501", "malformed-parameter"),
        ("limit=many", "malformed-parameter"),
        ("since=yesterday", "malformed-parameter"),
        ("state=lost", "malformed-parameter"),
        ("type=NotAType", "malformed-parameter"),
        ("correlation=1", "malformed-parameter"),
        ("stat=dead", "unknown-parameter"),
    ] {
        let path = format!("/api/v1/messages?{query}");
        let detail = refused(house.ask("GET", &path).key().send(), 400, code);
        let name = query.split('=').next().expect("a name");
        assert!(detail.contains(&format!("`{name}`")), "{detail}");
    }
    for path in ["/api/v1/messages/five", "/api/v1/messages/%00"] {
        refused(house.ask("GET", path).key().send(), 400, "malformed-id");
    }
    for cursor in ["x", "%ff", "9999999999999999999999", "-1"] {
        let path = format!("/api/v1/messages?cursor={cursor}");
        let answer = house.ask("GET", &path).key().send();
        assert!(
            (400..500).contains(&answer.status),
            "{cursor}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let missing = "/api/v1/messages/01a2038f-1f44-7f78-987c-3ef45bef987a";
    refused(
        house.ask("GET", missing).key().send(),
        404,
        "no-such-message",
    );
    let replay = |body: &str| {
        let ask = house.ask("POST", &format!("{missing}/replay")).key();
        ask.body(body).send()
    };
    refused(replay(""), 404, "no-such-message");
    refused(replay("{\"handlers\": 1}"), 400, "malformed-body");
    refused(replay("no json"), 400, "malformed-body");
    let pause = house.ask("POST", "/api/v1/handlers/no.body/pause").key();
    refused(pause.send(), 404, "no-such-handler");
    nothing_happened(&house);
}

fn event(data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "1", "source": "/tests", "type": FULFILMENT, "data": data})
}

fn enrolled(order: &str) -> Value {
    json!({"order": order, "course": "course-v1:A+B+C", "username": "u", "mode": "verified"})
}

fn publish(house: &TestHouse, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let ask = house.ask("POST", "/api/v1/messages").key();
    ask.header("content-type", content_type).body(body).send()
}

#[test]
fn events_that_are_not_cloudevents_are_refused() {
    let house = house();
    let one = |body: &str| publish(&house, "application/cloudevents+json", body);
    let good = event(&enrolled("1"));
    for (field, value) in [
        ("specversion", json!("0.3")),
        ("data", Value::Null),
        ("time", json!("yesterday")),
        ("type", json!(5)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        if field == "data" {
            bad.as_object_mut().expect("an object").remove("data");
        }
        refused(one(&bad.to_string()), 400, "malformed-event");
    }
    for body in ["", "not json", "[]", "5", "{\"type\": \"x\""] {
        refused(one(body), 400, "malformed-event");
    }
    let mut odd = good.clone();
    odd["type"] = json!("payment received");
    refused(one(&odd.to_string()), 400, "malformed-type");
    odd["type"] = json!("org.example.nobody.knows.v1");
    refused(one(&odd.to_string()), 404, "unknown-type");
    for other in ["text/plain", "application/json", ""] {
        refused(
            publish(&house, other, good.to_string()),
            415,
            "unsupported-media-type",
        );
    }
    let binary = house
        .ask("POST", "/api/v1/messages")
        .key()
        .header("ce-type", FULFILMENT);
    let binary = binary.header("content-type", "application/json");
    refused(binary.body("not json").send(), 400, "malformed-event");
    nothing_happened(&house);
}

#[test]
fn a_payload_that_does_not_fit_its_schema_is_named_and_its_batch_is_not_stored() {
    let house = house();
    let mut wrong = enrolled("2");
    wrong["course"] = json!(5);
    let answer = publish(
        &house,
        "application/cloudevents+json",
        event(&wrong).to_string(),
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["index"], &problem["pointer"]),
        (&json!(0), &json!("/course"))
    );
    refused(answer, 422, "schema-mismatch");

    let batch = json!([event(&enrolled("1")), event(&wrong), event(&enrolled("3"))]);
    let answer = publish(
        &house,
        "application/cloudevents-batch+json",
        batch.to_string(),
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["index"], &problem["pointer"]),
        (&json!(1), &json!("/course"))
    );
    refused(answer, 422, "schema-mismatch");
    refused(
        publish(&house, "application/cloudevents-batch+json", "[]"),
        400,
        "batch-size",
    );
    nothing_happened(&house);
}

#[test]
fn a_batch_that_fits_is_stored_whole_and_again_as_duplicates() {
    let house = house();
    let mut events: Vec<Value> = (0..3).map(|n| event(&enrolled(&n.to_string()))).collect();
    for (n, event) in events.iter_mut().enumerate() {
        event["id"] = json!(format!("batch-{n}"));
    }
    let batch = json!(events).to_string();
    for status in ["accepted", "duplicate"] {
        let answer = publish(&house, "application/cloudevents-batch+json", &*batch)
            .is(202)
            .json();
        let receipts = answer["receipts"].as_array().expect("a list");
        assert_eq!(receipts.len(), 3);
        assert!(
            receipts.iter().all(|receipt| receipt["status"] == status),
            "{answer}"
        );
    }
    assert_eq!(house.messages(FULFILMENT).len(), 3);
    // The same key for something else is the sender's mistake.
    events[0]["data"] = enrolled("another");
    let answer = publish(
        &house,
        "application/cloudevents+json",
        events[0].to_string(),
    );
    refused(answer, 422, "idempotency-conflict");
}
