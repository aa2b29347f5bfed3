//! Each example as its readers run it: its `.so` file in a real host, and what it is about.
#![expect(clippy::unwrap_used, reason = "a test")]

#[expect(dead_code, reason = "these tests only start a server")]
#[path = "../../crates/journal/tests/redis/server.rs"]
mod server;

use std::io::Write as _;
use std::process::Stdio;

use coordinator_tests::{Ask, TestHouse, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A key as Standard Webhooks writes them.
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn house(example: &str, settings: &str) -> TestHouse {
    TestHouse::builder()
        .plugin(example, example, settings)
        .start()
}

/// What the sender of a webhook adds to this body: headers, by the command line's own signing.
fn signed(house: &TestHouse, id: &str, body: &str) -> Ask {
    let config = json!({"secret": KEY}).to_string();
    let mut sign = house
        .command(&[
            "webhook",
            "sign",
            "--scheme",
            "standard_webhooks",
            "--config",
            &config,
            "--id",
            id,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sign.stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let request = sign.wait_with_output().unwrap().stdout;
    let request: Value = serde_json::from_slice(&request).unwrap();
    let ask = house.ask("POST", "/webhook/events").body(body);
    let headers = request["headers"].as_object().unwrap();
    let add =
        |ask: Ask, (name, value): (&String, &Value)| ask.header(name, value.as_str().unwrap());
    headers.iter().fold(ask, add)
}

#[test]
fn hello_greets_durably() {
    let house = house("hello", "");
    let ask = house.ask("POST", "/hello/greetings");
    ask.json(&json!({"name": "Ada"})).send().is(202);
    house.until_settled("hello.greet");
    house.log().until("Hello!", 1);
}

#[test]
fn webhook_takes_an_event_that_is_signed_once_and_no_other() {
    let house = TestHouse::builder()
        .file("webhook.key", KEY.as_bytes())
        .plugin("webhook", "webhook", "keys = [\"file:webhook.key\"]")
        .start();
    let body = json!({"kind": "charge.settled", "order": "A-1", "amount": {"minor": 4900, "currency": "EUR"}});
    for _ in 0..3 {
        signed(&house, "evt_1", &body.to_string()).send().is(202);
    }
    house.until_settled("webhook.book");
    assert_eq!(house.messages("org.example.charge.settled.v1").len(), 1);
    let unsigned = house.ask("POST", "/webhook/events").json(&body).send();
    assert_eq!(
        unsigned.status,
        400,
        "a header is missing: {}",
        unsigned.text()
    );
}

#[test]
fn errors_end_as_its_documentation_says() {
    let mut house = house("errors", "bookings = \"http://127.0.0.1:9/\"");
    let want = |seats: &str| {
        let wanted = json!({"course": "rust", "seats": seats});
        house
            .ask("POST", "/errors/seats")
            .json(&wanted)
            .send()
            .is(202);
    };
    want("two");
    let letters = eventually("what is no number is given up", || {
        Some(house.dead_letters()).filter(|letters| !letters.is_empty())
    });
    assert_eq!(
        letters[0]["attempts"], 1,
        "no attempt helps: {}",
        letters[0]
    );
    let (code, detail) = house.ask("GET", "/errors/broken").send().is(500).problem();
    assert_eq!((&*code, &*detail), ("internal", ""));
    let (code, _) = house
        .ask("POST", "/errors/seats")
        .body("{}")
        .send()
        .is(400)
        .problem();
    assert_eq!(code, "malformed-body");
    house.expect_dead_letters(1);
}

#[test]
fn tokio_crate_uses_reqwest_and_redis_inside_of_a_handler() {
    let redis = server::Server::start(server::Settings::default());
    let house = TestHouse::builder()
        .file("redis.url", redis.url().as_bytes())
        .plugin("pages", "tokio_crate", "redis = \"file:redis.url\"")
        .start();
    // The host itself is the page.
    let page = format!("{}/livez", house.url());
    let size = house.ask("GET", "/livez").send().is(200).text().len();
    let sum = house
        .ask("GET", &format!("/pages/sum?a={page}&b={page}"))
        .send()
        .is(200);
    assert_eq!(sum.text(), (2 * size).to_string());

    let published = house.run(&[
        "messages",
        "publish",
        "--type",
        "org.example.page.wanted.v1",
        "--data",
        &json!({"url": page}).to_string(),
    ]);
    assert_eq!(published.code, 0, "{published:#?}");
    house.until_settled("pages.measure");
    let kept = house
        .ask("GET", &format!("/pages/size?url={page}"))
        .send()
        .is(200);
    assert_eq!(kept.text(), size.to_string());
}

#[test]
fn pipeline_prices_a_basket_for_whoever_asks_its_route() {
    let house = TestHouse::builder()
        .plugin("pipeline", "pipeline", "tax_percent = 10")
        .config(
            "[wiring.pipelines.\"org.example.basket.price.v1\"]\n\
             steps = [\"pipeline.lines\", \"pipeline.voucher\", \"pipeline.tax\"]",
        )
        .start();
    let price = |voucher: &str| {
        let lines = json!([{"sku": "course", "count": 2, "minor": 2450}]);
        let basket = json!({"lines": lines, "voucher": voucher, "minor": null});
        house.ask("POST", "/pipeline/price").json(&basket).send()
    };
    assert_eq!(price("TEN").is(200).json()["minor"], 4_290);
    // What a step refuses, the route's caller reads.
    let (code, detail) = price("ELEVEN").is(422).problem();
    assert_eq!(
        (&*code, &*detail),
        ("no-such-voucher", "this voucher is not known")
    );
}

#[test]
fn schedule_closes_the_books_of_each_tick() {
    let house = TestHouse::builder()
        .plugin("schedule", "schedule", "ledgers = [\"de\", \"fr\"]")
        .config("[wiring.handlers.\"schedule.close\"]\ncron = \"* * * * * *\"")
        .start();
    let books = eventually("the books of a tick are due", || {
        let books = house.messages("org.example.books.due.v1");
        (books.len() >= 2).then_some(books)
    });
    let mut ledgers: Vec<&str> = books.iter().filter_map(|one| one["key"].as_str()).collect();
    ledgers.sort_unstable();
    ledgers.dedup();
    assert_eq!(ledgers, ["de", "fr"]);
    let listed = house.run(&["schedules", "list"]).exits(0).out;
    assert!(listed.contains("Europe/Berlin"), "{listed}");
}

#[test]
fn command_runs_for_an_operator_and_tells_what_its_check_finds() {
    let house = house("command", "courses = 0");
    house.log().until("there are no courses to index", 1);
    let counted = house.run(&["run", "command", "count"]).exits(0);
    assert_eq!(counted.out.trim(), "0 courses");
    let refused = house
        .run(&["run", "command", "reindex", "limit=0"])
        .exits(1);
    assert!(
        refused.err.contains("`limit` must be above zero"),
        "{}",
        refused.err
    );
    let unknown = house
        .run(&["run", "command", "reindex", "limt=1"])
        .exits(64);
    assert!(
        unknown.err.contains("did you mean `limit`?"),
        "{}",
        unknown.err
    );
}

#[test]
fn stateful_counts_here_and_everywhere_and_says_how_far_it_came() {
    let mut house = house("stateful", "hourly = 2");
    let visit = || house.ask("POST", "/stateful/visits").send();
    assert_eq!(visit().is(200).text(), "1 here, 1 everywhere");
    assert_eq!(visit().is(200).text(), "2 here, 2 everywhere");
    assert_eq!(visit().is(429).retry_after(), Some(3600));
    let forgot = house.run(&["run", "stateful", "forget"]).exits(0);
    assert_eq!(forgot.out.trim(), "forgotten");
    assert_eq!(visit().is(200).text(), "3 here, 1 everywhere");
    let metrics = house.ask("GET", "/metrics").send().is(200).text();
    let counted = "plugin_stateful_visits 3";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    assert_eq!(house.terminate(), Some(0));
    house.log().until("counted", 1);
}

/// Threads of the host, as the kernel counts them.
fn threads(house: &TestHouse) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", house.pid()))
        .unwrap()
        .count()
}

#[test]
fn generations_of_a_plugin_with_a_runtime_of_its_own_leave_no_threads_behind() {
    let house = TestHouse::builder()
        .file("a.url", b"redis://127.0.0.1:9")
        .file("b.url", b"redis://127.0.0.2:9")
        .plugin("pages", "tokio_crate", "redis = \"file:a.url\"")
        .start();
    let page = format!("{}/livez", house.url());
    let sum = format!("/pages/sum?a={page}&b={page}");
    house.ask("GET", &sum).send().is(200);
    let first = threads(&house);
    let pid = Pid::from_raw(i32::try_from(house.pid()).unwrap()).unwrap();
    for generation in 1..=10 {
        let (old, new) = if generation % 2 == 1 {
            ("a", "b")
        } else {
            ("b", "a")
        };
        house.reconfigure(&format!("file:{old}.url"), &format!("file:{new}.url"));
        kill_process(pid, Signal::HUP).unwrap();
        house.log().until(
            &format!("generation {generation} of plugin `pages` has ended"),
            1,
        );
        house.ask("GET", &sum).send().is(200);
    }
    // A thread that was told to end may need a moment for it.
    eventually("there are as many threads as before", || {
        (threads(&house) <= first + 1).then_some(())
    });
}
