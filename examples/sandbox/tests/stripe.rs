//! The Stripe part: what is sent, how it is signed, and what is told about it.

use anyhow::{Context as _, ensure};
use coordinator_sandbox::stripe::{Redeliver, SendOrder, Template, event, sign};
use coordinator_sandbox::{Options, Rule, Sandbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[test]
fn a_signature_is_what_stripe_computes() {
    // Computed with Python: hmac.new(secret, b"1700000000." + body, "sha256").hexdigest()
    let expected =
        "t=1700000000,v1=5c83ca56a76fc13716319e676dde1719da89def4594f7494e0b1de8abe94ed7d";
    assert_eq!(
        sign("whsec_sandbox", 1_700_000_000, br#"{"id":"evt_1"}"#),
        expected
    );
}

#[test]
fn an_event_has_stripes_shape_and_integer_minor_units() {
    let template = Template {
        amount: 12_345,
        currency: "kwd".to_owned(),
        ..Template::default()
    }
    .numbered(17);
    let event = event(&template, 1_700_000_000);
    assert_eq!(event["id"], "evt_sandbox_17");
    assert_eq!(event["object"], "event");
    assert_eq!(event["type"], "payment_intent.succeeded");
    let intent = &event["data"]["object"];
    assert_eq!(
        (intent["amount"].as_u64(), intent["currency"].as_str()),
        (Some(12_345), Some("kwd"))
    );
    assert_eq!(intent["metadata"]["order_number"], "ORDER-17");
    assert_eq!(intent["metadata"]["username"], "learner-17");
    assert_eq!(
        intent["metadata"]["course_id"],
        "course-v1:SandboxX+Commerce101+2026"
    );
    assert_eq!(intent["receipt_email"], "learner-17@example.com");
    assert_eq!(
        intent["charges"]["data"][0]["billing_details"]["name"],
        "Quinn Payer-17"
    );
}

#[test]
fn an_omitted_metadata_field_is_absent() {
    let template = Template {
        omit: vec!["username".to_owned()],
        ..Template::default()
    };
    let metadata = event(&template, 0)["data"]["object"]["metadata"].clone();
    assert!(metadata.get("username").is_none());
    assert!(metadata.get("course_id").is_some());
}

#[test]
fn neither_secret_nor_token_shows_in_debug_output() {
    let order = SendOrder::new("http://127.0.0.1:1/hook", "whsec_hidden");
    assert!(!format!("{order:?}{:?}", Options::default()).contains("hidden"));
    assert!(!format!("{:?}", Options::default()).contains("sandbox-lms-token"));
}

#[tokio::test]
async fn what_arrives_is_signed_over_its_very_bytes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stripe/webhook", listener.local_addr().unwrap());
    let received = tokio::spawn(receive_one(listener));
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let report = sandbox
        .send(&SendOrder::new(url, "whsec_sandbox"))
        .await
        .unwrap();
    assert_eq!((report.accepted, report.events[0].status), (1, Some(200)));

    let (head, body) = received.await.unwrap().unwrap();
    assert!(head.starts_with("POST /stripe/webhook "), "{head}");
    let header = head
        .lines()
        .find_map(|line| line.strip_prefix("stripe-signature: "))
        .unwrap();
    let signed_at = header
        .strip_prefix("t=")
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(header, sign("whsec_sandbox", signed_at, &body));
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["id"],
        "evt_sandbox_1"
    );
}

#[tokio::test]
async fn many_events_are_numbered_on_and_each_is_reported() {
    let (stripe, receiver) = (start(), start());
    receiver.behave(vec![Rule::status(200)]).unwrap();
    let order = json!({ "url": hook(&receiver), "secret": "s", "count": 25, "concurrency": 8 });
    let report = control(&stripe, &order).await.unwrap();
    assert_eq!(report["accepted"], 25);
    assert_eq!(report["events"][24]["event"], "evt_sandbox_25");
    assert_eq!(report["events"][24]["order_number"], "ORDER-25");
    assert_eq!(receiver.counts().requests, 25);

    let report = control(&stripe, &order).await.unwrap();
    assert_eq!(report["events"][0]["event"], "evt_sandbox_26");
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_sent_again() {
    let (stripe, receiver) = (start(), start());
    receiver
        .behave(vec![
            Rule::status(503).times(1),
            Rule::reset().times(1),
            Rule::status(202),
        ])
        .unwrap();
    let mut order = SendOrder::new(hook(&receiver), "s");
    order.redeliver = Redeliver {
        times: 5,
        every_ms: 1,
    };
    let report = stripe.send(&order).await.unwrap();
    assert_eq!(
        (report.events[0].status, report.events[0].tries),
        (Some(202), 3)
    );
}

#[tokio::test]
async fn refusal_and_silence_are_told_apart() {
    let (stripe, receiver) = (start(), start());
    receiver
        .behave(vec![
            Rule::status(400).times(1),
            Rule::hang().times(1),
            Rule::reset(),
        ])
        .unwrap();
    let mut order = SendOrder::new(hook(&receiver), "s");
    order.count = 3;
    order.timeout_ms = 200;
    let report = stripe.send(&order).await.unwrap();
    assert_eq!(
        (report.accepted, report.refused, report.unanswered),
        (0, 1, 2)
    );
    assert_eq!(report.events[0].status, Some(400));
    assert_eq!(report.events[1].error.as_deref(), Some("timeout"));
    assert_eq!(
        report.events[2].error.as_deref(),
        Some("connection closed without an answer")
    );

    drop(receiver);
    let report = stripe.send(&order).await.unwrap();
    assert_eq!(report.events[0].error.as_deref(), Some("could not connect"));
}

#[tokio::test]
async fn an_impossible_order_is_refused_with_its_reason() {
    let stripe = start();
    let orders = [
        (
            json!({ "url": "ftp://x", "secret": "s" }),
            "`ftp://x` is not an http URL",
        ),
        (
            json!({ "url": "http://x", "secret": "s", "count": 0 }),
            "`count` is 0: expected 1 to 10000",
        ),
        (
            json!({ "url": "http://x", "secret": "s", "concurrency": 999 }),
            "`concurrency` is 999: expected 1 to 256",
        ),
        (json!({ "url": "http://x" }), "missing field `secret`"),
        (
            json!({ "url": "http://x", "secret": "s", "template": { "amonut": 1 } }),
            "unknown field `amonut`",
        ),
    ];
    for (order, reason) in orders {
        let refused = control(&stripe, &order).await.unwrap_err();
        assert!(
            refused["error"].as_str().unwrap().contains(reason),
            "{refused}"
        );
    }
}

fn start() -> Sandbox {
    Sandbox::start(Options::default()).expect("a free port is there")
}

fn hook(receiver: &Sandbox) -> String {
    format!("{}/stripe/webhook", receiver.url())
}

/// Gives an order by HTTP; the error is the refusal's body.
async fn control(stripe: &Sandbox, order: &Value) -> Result<Value, Value> {
    let url = format!("{}/_control/stripe/send", stripe.url());
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(order.to_string());
    let answer = request.send().await.expect("the sandbox answers");
    let status = answer.status();
    let body = answer.bytes().await.expect("the sandbox answers");
    let body = serde_json::from_slice(&body).expect("the sandbox answers JSON");
    if status.is_success() {
        Ok(body)
    } else {
        Err(body)
    }
}

/// Takes one request, answers 200, and returns its head and its body.
async fn receive_one(listener: TcpListener) -> anyhow::Result<(String, Vec<u8>)> {
    let (mut line, _) = listener.accept().await?;
    let mut bytes = Vec::new();
    loop {
        ensure!(
            line.read_buf(&mut bytes).await? > 0,
            "the sender closed early"
        );
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec())?;
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .context("no content-length")?
            .parse()?;
        let body = &bytes[end + 4..];
        if body.len() >= length {
            line.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await?;
            return Ok((head, body.to_vec()));
        }
    }
}
