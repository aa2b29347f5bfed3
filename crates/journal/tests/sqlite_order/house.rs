//! A journal in a directory of its own, with one handler whose deliveries the test takes and settles.

use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Deliveries, Delivery, Durability, Failure, FailureKind, HandlerSpec, HandlerStats, Journal,
    Limits, ManualClock, MessageQuery, MessageState, NewMessage, Replay, Settle, SettleOutcome,
    Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use tempfile::TempDir;

pub(crate) const PLACED: &str = "org.example.order.placed.v1";
pub(crate) const PAID: &str = "org.example.order.paid.v1";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A journal in a directory of its own, with one handler of two types in one lane.
pub(crate) struct House {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) journal: SqliteJournal,
    pub(crate) stream: Box<dyn Deliveries>,
}

pub(crate) async fn journal(dir: &TempDir, clock: &Arc<ManualClock>) -> SqliteJournal {
    let options = SqliteOptions {
        dir: dir.path().to_owned(),
        durability: Durability::Relaxed,
        limits: Limits::default(),
        clock: clock.clone(),
    };
    SqliteJournal::open(options).await.unwrap()
}

fn spec(order: bool) -> HandlerSpec {
    let types = vec![PLACED.parse().unwrap(), PAID.parse().unwrap()];
    HandlerSpec {
        order,
        ..HandlerSpec::new("lms.enrol", types).in_lanes(&["orders"])
    }
}

pub(crate) fn message(ty: &str, key: Option<&str>, number: usize) -> NewMessage {
    let now = Timestamp::now();
    let data = number.to_string().into();
    let mut envelope = Envelope::new(MessageId::new(now), ty.parse().unwrap(), "/test", now, data);
    envelope.key = key.map(str::to_owned);
    envelope.lane = "orders".to_owned();
    NewMessage {
        envelope,
        publisher: "plugin/test".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

pub(crate) fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.message.data)
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn failure() -> Failure {
    Failure {
        kind: FailureKind::Refused,
        chain: vec!["LMS answered 422".to_owned()],
        started: Timestamp::from_millis(1),
        ran_ms: 1,
    }
}

impl House {
    pub(crate) async fn new(order: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let journal = journal(&dir, &clock).await;
        let stream = journal.open(spec(order)).await.unwrap();
        Self {
            dir,
            clock,
            journal,
            stream,
        }
    }

    pub(crate) async fn restart(self, order: bool) -> Self {
        self.journal.close().await;
        let journal = journal(&self.dir, &self.clock).await;
        let stream = journal.open(spec(order)).await.unwrap();
        Self {
            journal,
            stream,
            ..self
        }
    }

    pub(crate) async fn publish(
        &self,
        messages: impl IntoIterator<Item = NewMessage>,
    ) -> Vec<MessageId> {
        let receipts = self.journal.publish(messages.into_iter().collect()).await;
        receipts
            .unwrap()
            .into_iter()
            .map(|receipt| receipt.id)
            .collect()
    }

    /// Exactly `count`. The limit of its patience is for a hung test.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = tokio::time::timeout(MINUTE, self.stream.next(count - taken.len()));
            taken.extend(next.await.expect("deliveries should come").unwrap());
        }
        taken
    }

    pub(crate) async fn settle(&self, delivery: &Delivery, verdict: Verdict) {
        let token = delivery.token.clone();
        let outcome = self.journal.settle(vec![Settle { token, verdict }]).await;
        assert_eq!(outcome.unwrap(), [SettleOutcome::Settled]);
    }

    pub(crate) async fn ack(&self, delivery: &Delivery) {
        self.settle(delivery, Verdict::Ack { emits: Vec::new() })
            .await;
    }

    pub(crate) async fn stats(&self) -> HandlerStats {
        self.journal.stats().await.unwrap().handlers.remove(0)
    }

    /// Tries again what was given up and holds its key.
    pub(crate) async fn replay_parked(&self) {
        let mut cursor = None;
        loop {
            let query = MessageQuery {
                state: Some(MessageState::Parked),
                limit: 500,
                cursor,
                ..MessageQuery::default()
            };
            let page = self.journal.messages(query).await.unwrap();
            let replays = page.items.iter().map(|record| Replay {
                message: record.message.id,
                handler: None,
                due: None,
            });
            self.journal.replay(replays.collect()).await.unwrap();
            cursor = page.next;
            if cursor.is_none() {
                return;
            }
        }
    }

    /// Acks whatever comes until nothing is left, and answers it in the order it came.
    pub(crate) async fn drain(&mut self) -> Vec<usize> {
        let mut seen = Vec::new();
        while self.stats().await.lag > 0 {
            let next = tokio::time::timeout(MINUTE, self.stream.next(64));
            for delivery in next.await.expect("what is left should come").unwrap() {
                seen.push(number(&delivery));
                self.ack(&delivery).await;
            }
        }
        seen
    }
}
