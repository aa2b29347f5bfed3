//! Upgrades and new settings under load: no request fails, no message is lost, nothing of a generation is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use coordinator_tests::{Ask, TestHouse, eventually};
use serde_json::{Value, json};

use crate::stage::{
    HAPPENED, file, house, metric, plugin, run, said, threads, threads_of_plugins, until_retired,
    version,
};

const ACKED: &str = "coordinator_deliveries_total{handler=\"changing.note\",outcome=\"acked\"} ";

/// Requests that come without a pause, from many at once.
struct Requests {
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Requests {
    fn begin(house: &TestHouse, callers: usize) -> Self {
        let (over, accepted) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let url = format!("{}/changing/happen", house.url());
        let call = |number: usize| {
            let (over, accepted) = (Arc::clone(&over), Arc::clone(&accepted));
            let url = url.clone();
            thread::spawn(move || {
                let mut failed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let body = json!({"number": number});
                    match Ask::new("POST", &url).json(&body).try_send() {
                        Some(answer) if answer.status == 202 => {
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(answer) => failed.push(answer.text()),
                        None => failed.push("no answer".to_owned()),
                    }
                }
                failed
            })
        };
        Self {
            callers: (0..callers).map(call).collect(),
            over,
            accepted,
        }
    }

    /// What failed, and how many were accepted.
    fn end(self) -> (Vec<String>, u64) {
        self.over.store(true, Ordering::Relaxed);
        let failed = self
            .callers
            .into_iter()
            .map(|it| it.join().expect("it ends"));
        let failed = failed.flatten().collect();
        (failed, self.accepted.load(Ordering::Relaxed))
    }
}

fn in_flight(house: &TestHouse) -> u64 {
    plugin(house, "changing")["in_flight"]
        .as_u64()
        .unwrap_or_default()
}

#[test]
fn thirty_upgrades_under_two_hundred_requests_fail_none_of_them_and_lose_no_message() {
    let house = house("");
    run(&house, &["wiring", "set", "changing.note.concurrency=400"]).exits(0);
    run(&house, &["settings", "set", "changing", "pause_ms=300"]).exits(0);
    until_retired(&house);
    let requests = Requests::begin(&house, 200);
    eventually("two hundred are in flight", || {
        (in_flight(&house) >= 200).then_some(())
    });
    let before = threads(&house);
    let mut most = 0;
    for number in 0..30 {
        let name = if number % 2 == 0 {
            "changed"
        } else {
            "changing"
        };
        let upgrade = ["plugin", "upgrade", "changing", &file(&house, name)];
        run(&house, &upgrade).exits(0);
        let version = version(&house);
        assert!(
            version.starts_with(if number % 2 == 0 { "2.0.0" } else { "1.0.0" }),
            "{version}"
        );
        most = most.max(threads(&house));
    }
    let (failed, accepted) = requests.end();
    assert_eq!(failed, Vec::<String>::new());
    house.until_settled("changing.note");
    until_retired(&house);
    assert!(accepted > 1_000, "{accepted}");
    assert_eq!(house.messages(HAPPENED).len() as u64, accepted);
    assert_eq!(metric(&house, ACKED), accepted, "each was handled once");
    assert_eq!(
        said(&house, "generation that was stopped"),
        Vec::<String>::new()
    );
    // Idle threads of the host's own pool end after ten seconds.
    let after = eventually("there are no more threads than before", || {
        let after = threads(&house);
        (after <= before).then_some(after)
    });
    assert_eq!(
        threads_of_plugins(&house),
        1,
        "each generation ended its own"
    );

    let listed = house.get("/api/v1/plugins");
    assert_eq!(listed["mapped_files"], 31, "{listed}");
    let one = plugin(&house, "changing")["memory_bytes"]
        .as_u64()
        .expect("a number");
    let all = listed["mapped_bytes"].as_u64().expect("a number");
    assert!(one > 100_000 && all > one * 30, "{one} of {all}");
    println!(
        "30 upgrades: {accepted} requests and messages, threads {before} -> {after} (at most {most}), {all} bytes mapped"
    );
}

/// So many go through: more by `COORDINATOR_MESSAGES`.
fn messages() -> u64 {
    let given = std::env::var("COORDINATOR_MESSAGES").ok();
    given.map_or(20_000, |given| given.parse().expect("a number"))
}

fn publish(house: &TestHouse, from: u64, count: u64) {
    let batch: Vec<Value> = (from..from + count)
        .map(|number| {
            json!({
                "specversion": "1.0", "id": format!("{number}"), "source": "/tests",
                "type": HAPPENED, "data": {"number": number},
            })
        })
        .collect();
    let answer = house
        .ask("POST", "/api/v1/messages")
        .key()
        .header("content-type", "application/cloudevents-batch+json")
        .body(Value::Array(batch).to_string())
        .send();
    if answer.status == 503 {
        let patience = Duration::from_secs(answer.retry_after().unwrap_or(1));
        thread::sleep(patience);
        return publish(house, from, count);
    }
    answer.is(202);
}

#[test]
fn messages_through_a_plugin_whose_settings_change_every_second_are_all_handled_once() {
    let house = house("");
    let (total, begun) = (messages(), Instant::now());
    let (mut sent, mut changes) = (0, 0);
    let mut next = begun;
    while metric(&house, ACKED) < total || changes < 5 {
        if sent < total {
            let count = 500.min(total - sent);
            publish(&house, sent, count);
            sent += count;
        }
        if Instant::now() >= next {
            let word = format!("word=w{changes}");
            run(&house, &["settings", "set", "changing", &word]).exits(0);
            assert_eq!(version(&house), format!("1.0.0 w{changes}"));
            (changes, next) = (changes + 1, Instant::now() + Duration::from_secs(1));
        }
    }
    house.until_settled("changing.note");
    until_retired(&house);
    assert_eq!(metric(&house, ACKED), total, "each was handled once");
    assert!(house.dead_letters().is_empty());
    assert_eq!(
        said(&house, "generation that was stopped"),
        Vec::<String>::new()
    );
    println!(
        "{total} messages and {changes} changes of settings in {:?}",
        begun.elapsed()
    );
}
