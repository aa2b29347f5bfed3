//! Schedules on a journal of their own, under a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cadence;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::Manifest;
use coordinator_abi::manifest::Message;
use coordinator_config::{Config, Missed, Sources};
use coordinator_context::Publisher;
use coordinator_dispatch::{Cadence, Schedule, Ticker};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Clock as _, Durability, Journal, Limits, ManualClock, MessageQuery, MessageRecord, Tick,
};
use coordinator_message::Timestamp;
use coordinator_wiring::{Installed, Wiring};
use tempfile::TempDir;

const DUE: &str = "org.example.report.due.v1";
const NAME: &str = "nightly";
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Stage {
    clock: Arc<ManualClock>,
    journal: Arc<dyn Journal>,
    wiring: Arc<Wiring>,
    dir: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(at("2026-05-01T00:30:00Z")));
        let dir = tempfile::tempdir().unwrap();
        Self {
            journal: open(&dir, &clock).await,
            clock,
            wiring: wiring(),
            dir,
        }
    }

    /// The host is down for this long.
    async fn down_for(self, time: Duration) -> Self {
        self.journal.close().await;
        drop(self.journal);
        self.clock.advance(time);
        Self {
            journal: open(&self.dir, &self.clock).await,
            ..self
        }
    }

    /// A ticker of a host of this name, with one schedule that ticks every hour.
    fn hourly(&self, node: &str, missed: Missed) -> Ticker {
        let schedule = Schedule {
            name: NAME.to_owned(),
            cadence: Cadence::new("0 * * * *", "UTC", self.clock.now()).unwrap(),
            ty: DUE.parse().unwrap(),
            data: Bytes::from_static(b"{\"kind\":\"sales\"}"),
            missed,
        };
        let publisher = Publisher::new(Arc::clone(&self.journal), Arc::clone(&self.wiring));
        let clock = Arc::clone(&self.clock);
        Ticker::start(vec![schedule], publisher, clock, node.to_owned())
    }

    /// Waits until the schedule has ticked at `time`, or has begun then.
    async fn ticked(&self, time: Timestamp) {
        eventually("the tick", async || {
            (self.journal.last_tick(NAME).await.unwrap() == Some(time)).then_some(())
        })
        .await;
    }

    /// When what was published was due, oldest first.
    async fn published(&self) -> Vec<String> {
        let messages = self.messages().await;
        let hour = |record: &MessageRecord| record.message.time.to_string()[8..16].to_owned();
        messages.iter().map(hour).collect()
    }

    async fn messages(&self) -> Vec<MessageRecord> {
        let query = MessageQuery {
            oldest_first: true,
            limit: 500,
            ..MessageQuery::default()
        };
        let mut items = self.journal.messages(query).await.unwrap().items;
        items.sort_by_key(|record| record.message.time);
        items
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

async fn open(dir: &TempDir, clock: &Arc<ManualClock>) -> Arc<dyn Journal> {
    let options = SqliteOptions {
        dir: dir.path().to_owned(),
        durability: Durability::Relaxed,
        limits: Limits::default(),
        clock: Arc::clone(clock) as Arc<_>,
    };
    Arc::new(SqliteJournal::open(options).await.unwrap())
}

fn wiring() -> Arc<Wiring> {
    let manifest = Manifest {
        name: "reports".to_owned(),
        version: "1.0.0".to_owned(),
        sdk: "1.0.0".to_owned(),
        doc: String::new(),
        settings: Vec::new(),
        settings_schema: serde_json::json!({}),
        messages: vec![Message {
            ty: DUE.to_owned(),
            doc: String::new(),
            lane: None,
            key: Some("kind".to_owned()),
            schema: serde_json::json!({"type": "object", "required": ["kind"]}),
        }],
        ..Manifest::default()
    };
    let installed = Installed {
        name: "reports",
        mount: "/reports",
        manifest: &manifest,
    };
    let defaults = Config::load(&Sources::default()).unwrap().dispatch;
    let (wiring, _) = Wiring::build(&[installed], &[], &defaults, &Default::default()).unwrap();
    Arc::new(wiring)
}

async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_schedule_begins_now_and_publishes_at_its_time() {
    let stage = Stage::new().await;
    let ticker = stage.hourly("one", Missed::All);
    stage.ticked(at("2026-05-01T00:30:00Z")).await;
    assert!(stage.published().await.is_empty());

    stage.clock.advance(HOUR / 2);
    stage.ticked(at("2026-05-01T01:00:00Z")).await;
    ticker.stop().await;
    let messages = stage.messages().await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0].message;
    assert_eq!(message.ty.as_str(), DUE);
    assert_eq!(message.subject.as_deref(), Some(NAME));
    assert_eq!(message.source, "/schedules/nightly");
    assert_eq!(message.time, at("2026-05-01T01:00:00Z"));
    assert_eq!(message.key.as_deref(), Some("sales"), "as its type says");
    assert_eq!(&message.data[..], b"{\"kind\":\"sales\"}");
}

async fn away_for_hours(missed: Missed) -> Vec<String> {
    let stage = Stage::new().await;
    let ticker = stage.hourly("one", missed);
    stage.ticked(at("2026-05-01T00:30:00Z")).await;
    ticker.stop().await;
    let stage = stage.down_for(3 * HOUR).await;
    let ticker = stage.hourly("two", missed);
    stage.ticked(at("2026-05-01T03:00:00Z")).await;
    stage.clock.advance(HOUR / 2);
    stage.ticked(at("2026-05-01T04:00:00Z")).await;
    ticker.stop().await;
    stage.published().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_the_last_missed_tick_is_made_up_for() {
    assert_eq!(away_for_hours(Missed::One).await, ["01T03:00", "01T04:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_all_missed_ticks_are_made_up_for_if_the_operator_says_so() {
    assert_eq!(
        away_for_hours(Missed::All).await,
        ["01T01:00", "01T02:00", "01T03:00", "01T04:00"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_no_missed_tick_is_made_up_for_if_the_operator_says_so() {
    assert_eq!(away_for_hours(Missed::None).await, ["01T04:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_one_ticks_and_the_other_takes_over() {
    let stage = Stage::new().await;
    let first = stage.hourly("one", Missed::All);
    stage.ticked(at("2026-05-01T00:30:00Z")).await;
    let second = stage.hourly("two", Missed::All);
    stage.clock.advance(HOUR / 2);
    for hour in 1..=6 {
        stage
            .ticked(at(&format!("2026-05-01T0{hour}:00:00Z")))
            .await;
        stage.clock.advance(HOUR);
    }
    stage.ticked(at("2026-05-01T07:00:00Z")).await;
    first.stop().await;
    stage.clock.advance(HOUR);
    stage.ticked(at("2026-05-01T08:00:00Z")).await;
    second.stop().await;
    let hours: Vec<String> = (1..=8).map(|hour| format!("01T0{hour}:00")).collect();
    assert_eq!(stage.published().await, hours);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_vanishes_is_followed_by_another_and_no_tick_is_lost_or_doubled() {
    let stage = Stage::new().await;
    let began = Tick {
        schedule: NAME.to_owned(),
        at: stage.clock.now(),
        message: None,
    };
    assert!(stage.journal.tick(began).await.unwrap());
    // The first host is gone, and its role with it only when that runs out.
    let led = stage.journal.lead("schedules", "one", HOUR).await.unwrap();
    assert!(led.is_some());
    let second = stage.hourly("two", Missed::All);
    stage.clock.advance(3 * HOUR);
    stage.ticked(at("2026-05-01T03:00:00Z")).await;
    second.stop().await;
    assert_eq!(
        stage.published().await,
        ["01T01:00", "01T02:00", "01T03:00"]
    );
}
