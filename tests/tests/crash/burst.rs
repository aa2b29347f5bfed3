//! A burst of payments that is sent while something is killed, and what must be true after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use coordinator_sandbox::Rule;
use coordinator_tests::{Door, Payment, TestHouse, eventually};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// Senders at once.
pub(crate) const SENDERS: usize = 8;
const FULFILMENT: &str = "org.openedx.fulfilment.completed.v1";
const COURSES: [&str; 2] = ["course-v1:CrashX+One+2026", "course-v1:CrashX+Two+2026"];

/// Every second payment is for both courses.
fn payment(n: u64) -> Payment {
    let mut payment = Payment::numbered(n);
    payment.template.course_id = courses(n).join(",");
    payment
}

fn courses(n: u64) -> &'static [&'static str] {
    &COURSES[..1 + usize::from(n.is_multiple_of(2))]
}

/// What the senders know: which events they began to send, and which of them were answered with 2xx.
pub(crate) struct Ledger {
    events: u64,
    begun: AtomicU64,
    accepted: Mutex<BTreeSet<u64>>,
}

impl Ledger {
    pub(crate) fn of(events: u64) -> Self {
        Self {
            events,
            begun: AtomicU64::new(0),
            accepted: Mutex::default(),
        }
    }

    /// Waits until so many are begun.
    pub(crate) fn until(&self, moment: u64) {
        eventually("the senders come so far", || {
            (self.begun.load(Ordering::SeqCst) >= moment).then_some(())
        });
    }

    /// What was answered with 2xx.
    pub(crate) fn accepted(self) -> BTreeSet<u64> {
        self.accepted.into_inner().expect("no sender panicked")
    }

    /// Sends every event once, whatever comes back.
    pub(crate) fn send_all(&self, door: &Door) {
        loop {
            let n = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            if n > self.events {
                return;
            }
            let answer = payment(n).post(&door.url());
            if answer.is_some_and(|answer| answer.is_success()) {
                self.accepted.lock().expect("no sender panics").insert(n);
            }
        }
    }
}

/// Lets the LMS refuse the first enrolment of every tenth learner.
pub(crate) fn a_tenth_fails_once(house: &TestHouse, events: u64) {
    let tenth = (1..=events).filter(|n| n % 10 == 0);
    let rules = tenth.map(|n| Rule::status(503).for_user(format!("learner-{n}")).times(1));
    house.sandbox().behave(rules.collect()).expect("rules");
}

/// Numbers of events, rising: the host is killed when the senders have come so far.
pub(crate) fn moments(count: usize, events: u64) -> Vec<u64> {
    let seed = std::env::var("COORDINATOR_TEST_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    eprintln!("COORDINATOR_TEST_SEED={seed} kills at the same moments again");
    let mut random = StdRng::seed_from_u64(seed);
    let mut moments = BTreeSet::new();
    while moments.len() < count {
        moments.insert(random.random_range(1..events));
    }
    moments.into_iter().collect()
}

/// Orders whose delivery is settled now, with the number of the last request that the LMS has got by now.
pub(crate) fn note_settled(house: &TestHouse, settled: &mut BTreeMap<String, u64>) {
    let page = house.get(&format!("/api/v1/messages?type={FULFILMENT}&limit=500"));
    let requests = house.sandbox().counts().requests;
    for message in page["items"].as_array().into_iter().flatten() {
        let order = message["key"].as_str().expect("it has a key");
        settled.entry(order.to_owned()).or_insert(requests);
    }
}

/// Work was only repeated for deliveries that were in flight, and was told to the LMS as the same work.
pub(crate) fn nothing_settled_was_repeated(house: &TestHouse, settled: &BTreeMap<String, u64>) {
    assert!(!settled.is_empty(), "some was settled before a kill");
    for request in house.sandbox().entries() {
        let order = request.asked.order_number.as_ref();
        let last = order.and_then(|order| settled.get(order));
        assert!(last.is_none_or(|last| request.seq <= *last), "{request:?}");
    }
    let lms = house.sandbox().counts();
    assert_eq!(lms.repeats_with_new_key, 0, "{lms:?}");
}

pub(crate) fn every_accepted_event_was_handled(house: &TestHouse, accepted: &BTreeSet<u64>) {
    let enrolled: BTreeSet<_> = house.sandbox().enrolments().into_iter().collect();
    for n in accepted {
        for course in courses(*n) {
            let enrolment = (format!("learner-{n}"), (*course).to_owned());
            assert!(enrolled.contains(&enrolment), "event {n} was lost");
        }
    }
}

/// One payment message for each event, and one fulfilment for each of its courses, caused by it.
pub(crate) fn every_emit_is_there_once(house: &TestHouse, accepted: &BTreeSet<u64>) {
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let mut payments = BTreeMap::new();
    for payment in house.messages("org.openedx.payment.received.v1") {
        assert_eq!(payment["state"], "acked", "{payment}");
        let twice = payments.insert(text(&payment["key"]), text(&payment["id"]));
        assert_eq!(twice, None, "a payment is there twice: {payment}");
    }
    let number = |order: &String| order.strip_prefix("ORDER-").and_then(|n| n.parse().ok());
    let number = |order| number(order).expect("orders are numbered");
    let expected: usize = payments
        .keys()
        .map(|order| courses(number(order)).len())
        .sum();
    // They are decided with the ack; into their own lane they are moved after it.
    let fulfilments = eventually("what was emitted is in its lane", || {
        let all = house.messages(FULFILMENT);
        (all.len() >= expected).then_some(all)
    });
    let mut fulfilled: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in fulfilments {
        let detail = house.message(&text(&message["id"]));
        let (order, course) = (text(&detail["data"]["order"]), &detail["data"]["course"]);
        assert_eq!(payments.get(&order), Some(&text(&detail["cause"])));
        let is_new = fulfilled.entry(order).or_default().insert(text(course));
        assert!(is_new, "a fulfilment is there twice: {detail}");
    }
    for n in accepted {
        assert!(payments.contains_key(&format!("ORDER-{n}")), "event {n}");
    }
    // Also of events whose answer the kill took away: what is in the journal is handled.
    for order in payments.keys() {
        let expected = courses(number(order)).iter();
        let expected = expected.map(|course| (*course).to_owned()).collect();
        assert_eq!(fulfilled.get(order), Some(&expected), "{order}");
    }
    assert_eq!(fulfilled.len(), payments.len());
}
