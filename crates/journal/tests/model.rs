//! Whatever is done to one handler's messages, in any order: the journal agrees with a model of a few lines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Clock as _, Deliveries, Delivery, Durability, Failure, FailureKind, HandlerSpec, Journal,
    Limits, ManualClock, NewMessage, Replay, Replayed, Settle, SettleOutcome, Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;

const PAID: &str = "org.openedx.payment.received.v1";
const MINUTE: Duration = Duration::from_secs(60);

/// One thing that is done. Indices are taken modulo what there is.
#[derive(Debug, Clone)]
enum Action {
    Publish(usize),
    Take(usize),
    Ack(usize),
    Retry(usize, u32),
    Kill(usize),
    Replay(usize),
    Advance(u32),
    Restart,
}

/// Where a message stands.
#[derive(Debug, Clone)]
enum Place {
    /// To be delivered as this attempt, from this time on. From the log, or from a row of its own?
    Waiting {
        attempt: u32,
        due: Timestamp,
        from_log: bool,
    },
    Out(Box<Delivery>, bool),
    Acked,
    Dead,
}

/// The journal and what it should know.
struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
    journal: Box<dyn Journal>,
    stream: Box<dyn Deliveries>,
    messages: Vec<(MessageId, u32, Place)>,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        3 => (1..5_usize).prop_map(Action::Publish),
        4 => (1..5_usize).prop_map(Action::Take),
        4 => any::<usize>().prop_map(Action::Ack),
        3 => (any::<usize>(), 0..5_u32).prop_map(|(index, minutes)| Action::Retry(index, minutes)),
        2 => any::<usize>().prop_map(Action::Kill),
        2 => any::<usize>().prop_map(Action::Replay),
        2 => (1..4_u32).prop_map(Action::Advance),
        1 => Just(Action::Restart),
    ];
    proptest::collection::vec(action, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_agrees_with_the_model(actions in actions()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for action in actions {
                world.act(action).await;
                world.check().await;
            }
            world.finish().await;
        });
    }
}

async fn open(dir: &TempDir, clock: &Arc<ManualClock>) -> (Box<dyn Journal>, Box<dyn Deliveries>) {
    let limits = Limits {
        retention: MINUTE * 10_000,
        max_size: 1 << 30,
        max_backlog: 1 << 20,
        ..Limits::default()
    };
    let (dir, clock) = (dir.path().to_owned(), clock.clone());
    let options = SqliteOptions {
        dir,
        durability: Durability::Relaxed,
        limits,
        clock,
    };
    let journal = SqliteJournal::open(options).await.unwrap();
    let types = vec![PAID.parse().unwrap()];
    let spec = HandlerSpec::new("lms.enrol".to_owned(), types);
    let stream = journal.open(spec).await.unwrap();
    (Box::new(journal), stream)
}

impl World {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let (journal, stream) = open(&dir, &clock).await;
        Self {
            dir,
            clock,
            journal,
            stream,
            messages: Vec::new(),
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Publish(count) => self.publish(count).await,
            Action::Take(count) => self.take(count).await,
            Action::Ack(index) => self.settle(index, Verdict::Ack { emits: Vec::new() }).await,
            Action::Retry(index, minutes) => {
                let due = self.clock.now().after(MINUTE * minutes);
                self.settle(
                    index,
                    Verdict::Retry {
                        due,
                        failure: failure(),
                    },
                )
                .await;
            }
            Action::Kill(index) => {
                self.settle(index, Verdict::Dead { failure: failure() })
                    .await
            }
            Action::Replay(index) => self.replay(index).await,
            Action::Advance(minutes) => self.clock.advance(MINUTE * minutes),
            Action::Restart => self.restart().await,
        }
    }

    async fn publish(&mut self, count: usize) {
        let now = self.clock.now();
        let batch = (0..count).map(|_| {
            let id = MessageId::new(now);
            let envelope = Envelope::new(id, PAID.parse().unwrap(), "/test", now, "1".into());
            NewMessage {
                envelope,
                publisher: "plugin/test".to_owned(),
                idempotency_key: None,
                deliver_at: None,
            }
        });
        for receipt in self.journal.publish(batch.collect()).await.unwrap() {
            let place = Place::Waiting {
                attempt: 1,
                due: Timestamp::default(),
                from_log: true,
            };
            self.messages.push((receipt.id, 0, place));
        }
    }

    /// Takes at most `count` of what the model says is there: it would wait for ever for more.
    async fn take(&mut self, count: usize) {
        let now = self.clock.now();
        let ready = |place: &Place| matches!(place, Place::Waiting { due, .. } if *due <= now);
        let there = self
            .messages
            .iter()
            .filter(|(_, _, place)| ready(place))
            .count();
        let mut left = count.min(there);
        while left > 0 {
            let next = tokio::time::timeout(MINUTE, self.stream.next(left)).await;
            for delivery in next
                .expect("what the model has waiting should come")
                .unwrap()
            {
                left -= 1;
                let (_, replays, place) = self
                    .messages
                    .iter_mut()
                    .find(|(id, ..)| *id == delivery.message.id)
                    .unwrap();
                let Place::Waiting {
                    attempt,
                    due,
                    from_log,
                } = place.clone()
                else {
                    panic!("{delivery:?} came while it was {place:?}");
                };
                assert!(due <= now, "it came before its time");
                assert_eq!((delivery.attempt, delivery.replay), (attempt, *replays));
                *place = Place::Out(Box::new(delivery), from_log);
            }
        }
    }

    async fn settle(&mut self, index: usize, verdict: Verdict) {
        let mut out: Vec<_> = self
            .messages
            .iter_mut()
            .filter(|(_, _, place)| matches!(place, Place::Out(..)))
            .collect();
        if out.is_empty() {
            return;
        }
        let chosen = index % out.len();
        let (_, _, place) = &mut out[chosen];
        let Place::Out(delivery, _) = place.clone() else {
            unreachable!("filtered above")
        };
        let settle = Settle {
            token: delivery.token.clone(),
            verdict: verdict.clone(),
        };
        assert_eq!(
            self.journal.settle(vec![settle.clone()]).await.unwrap(),
            [SettleOutcome::Settled]
        );
        assert_eq!(
            self.journal.settle(vec![settle]).await.unwrap(),
            [SettleOutcome::Stale]
        );
        *place = match verdict {
            Verdict::Ack { .. } => Place::Acked,
            Verdict::Dead { .. } | Verdict::DeadKey { .. } | Verdict::Park { .. } => Place::Dead,
            Verdict::Release { due } => Place::Waiting {
                attempt: delivery.attempt,
                due: due.unwrap_or_default(),
                from_log: false,
            },
            Verdict::Retry { due, .. } => Place::Waiting {
                attempt: delivery.attempt + 1,
                due,
                from_log: false,
            },
        };
    }

    async fn replay(&mut self, index: usize) {
        if self.messages.is_empty() {
            return;
        }
        let chosen = index % self.messages.len();
        let (id, replays, place) = &mut self.messages[chosen];
        let replay = Replay {
            message: *id,
            handler: Some("lms.enrol".to_owned()),
            due: None,
        };
        let answers = self.journal.replay(vec![replay]).await.unwrap();
        let to_come = matches!(
            place,
            Place::Out(..) | Place::Waiting { from_log: true, .. }
        );
        assert_eq!(answers, [Replayed::Scheduled(u64::from(!to_come))]);
        if !to_come {
            *replays += 1;
            *place = Place::Waiting {
                attempt: 1,
                due: Timestamp::default(),
                from_log: false,
            };
        }
    }

    /// What was handed out comes again, as the same attempt.
    async fn restart(&mut self) {
        self.journal.close().await;
        (self.journal, self.stream) = open(&self.dir, &self.clock).await;
        for (_, _, place) in &mut self.messages {
            if let Place::Out(delivery, from_log) = place {
                let (attempt, from_log) = (delivery.attempt, *from_log);
                *place = Place::Waiting {
                    attempt,
                    due: Timestamp::default(),
                    from_log,
                };
            }
        }
    }

    async fn check(&self) {
        let stats = self.journal.stats().await.unwrap();
        let count = |wanted: fn(&Place) -> bool| {
            self.messages
                .iter()
                .filter(|(_, _, place)| wanted(place))
                .count() as u64
        };
        let handler = &stats.handlers[0];
        assert_eq!(stats.messages, self.messages.len() as u64);
        assert_eq!(
            handler.lag,
            count(|place| !matches!(place, Place::Acked | Place::Dead))
        );
        assert_eq!(
            handler.running,
            count(|place| matches!(place, Place::Out(..)))
        );
        assert_eq!(handler.dead, count(|place| matches!(place, Place::Dead)));
    }

    /// Everything that waits comes in the end, and nothing else.
    async fn finish(mut self) {
        self.restart().await;
        self.clock.advance(MINUTE * 60);
        self.publish(1).await;
        self.take(usize::MAX).await;
        for _ in 0..self.messages.len() {
            self.settle(0, Verdict::Ack { emits: Vec::new() }).await;
        }
        self.check().await;
        assert_eq!(self.journal.stats().await.unwrap().handlers[0].lag, 0);
    }
}

fn failure() -> Failure {
    let started = Timestamp::from_millis(1);
    Failure {
        kind: FailureKind::Retry,
        chain: vec!["busy".to_owned()],
        started,
        ran_ms: 1,
    }
}
