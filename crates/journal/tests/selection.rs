//! What an operator chooses is frozen, counted, and done once, oldest first.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Clock as _, DeadLetterFilter, Deliveries, Delivery, Durability, Failure, FailureKind,
    HandlerSpec, Journal, Limits, ManualClock, MessageFilter, MessageState, NewMessage, Outcome,
    Pace, Plan, Selection, SelectionError, Settle, Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};
use tempfile::TempDir;

const PAID: &str = "org.openedx.payment.received.v1";
const SECOND: Duration = Duration::from_secs(1);

/// A journal with two handlers of [`PAID`].
struct Stage {
    journal: SqliteJournal,
    clock: Arc<ManualClock>,
    lms: Box<dyn Deliveries>,
    crm: Box<dyn Deliveries>,
    _dir: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let journal = SqliteJournal::open(SqliteOptions {
            dir: dir.path().to_owned(),
            durability: Durability::Relaxed,
            limits: Limits::default(),
            clock: clock.clone(),
        });
        let journal = journal.await.unwrap();
        let ty: MessageType = PAID.parse().unwrap();
        let spec = |id: &str| HandlerSpec::new(id, vec![ty.clone()]);
        let lms = journal.open(spec("lms.enrol")).await.unwrap();
        let crm = journal.open(spec("crm.note")).await.unwrap();
        Self {
            journal,
            clock,
            lms,
            crm,
            _dir: dir,
        }
    }

    /// Publishes so many; each handler settles them as it is told. The clock goes on by a second after that.
    async fn history(&mut self, count: usize, lms: &Verdict, crm: &Verdict) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(publish(&self.journal, number).await);
            for (stream, verdict) in [(&mut self.lms, lms), (&mut self.crm, crm)] {
                let [delivery] = &take(stream, 1).await[..] else {
                    panic!("one was asked for")
                };
                settle(&self.journal, delivery, verdict.clone()).await;
            }
        }
        self.clock.advance(SECOND);
        ids
    }

    async fn plan(&self, selection: Selection, handler: Option<&str>) -> Plan {
        Plan::freeze(selection, handler.map(str::to_owned), self.clock.now()).unwrap()
    }
}

async fn publish(journal: &SqliteJournal, number: usize) -> MessageId {
    let now = Timestamp::now();
    let data = number.to_string().into();
    let ty = PAID.parse().unwrap();
    let message = NewMessage {
        envelope: Envelope::new(MessageId::new(now), ty, "/plugins/stripe", now, data),
        publisher: "plugin/stripe".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    };
    journal.publish(vec![message]).await.unwrap()[0].id
}

/// Waits for so many. The limit of its patience is for a hung test, not an expectation.
async fn take(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(60 * SECOND, stream.next(count - taken.len()));
        taken.extend(next.await.expect("deliveries should come").unwrap());
    }
    taken
}

async fn take_ids(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<MessageId> {
    let taken = take(stream, count).await;
    taken.iter().map(|delivery| delivery.message.id).collect()
}

async fn settle(journal: &SqliteJournal, delivery: &Delivery, verdict: Verdict) {
    let token = delivery.token.clone();
    journal
        .settle(vec![Settle { token, verdict }])
        .await
        .unwrap();
}

fn acked() -> Verdict {
    Verdict::Ack { emits: Vec::new() }
}

fn dead() -> Verdict {
    let failure = Failure {
        kind: FailureKind::Refused,
        chain: vec!["LMS answered 422".to_owned()],
        started: Timestamp::from_millis(1),
        ran_ms: 7,
    };
    Verdict::Dead { failure }
}

fn everything() -> Selection {
    Selection::Filter(MessageFilter::default())
}

fn scheduled(scheduled: u64) -> Outcome {
    Outcome {
        scheduled,
        ..Outcome::default()
    }
}

#[tokio::test]
async fn what_was_counted_is_delivered_again_and_nothing_that_came_later() {
    let mut stage = Stage::new().await;
    let ids = stage.history(3, &acked(), &acked()).await;
    let plan = stage.plan(everything(), Some("lms.enrol")).await;
    let kept = serde_json::to_string(&plan).unwrap();
    stage.history(2, &acked(), &acked()).await;

    let plan: Plan = serde_json::from_str(&kept).unwrap();
    let plan = plan.again(stage.clock.now()).unwrap();
    let chosen = plan.choose(&stage.journal).await.unwrap();
    assert_eq!(
        (chosen.count(), chosen.first(), chosen.last()),
        (3, Some(ids[0]), Some(ids[2]))
    );
    let outcome = chosen.replay(&stage.journal, None).await.unwrap();
    assert_eq!(outcome, scheduled(3));
    assert_eq!(take_ids(&mut stage.lms, 3).await, ids, "oldest first");
    // A marker: nothing else came to either handler.
    let marker = publish(&stage.journal, 9).await;
    assert_eq!(take_ids(&mut stage.lms, 1).await, [marker]);
    assert_eq!(take_ids(&mut stage.crm, 1).await, [marker]);
}

#[tokio::test]
async fn without_a_handler_every_bound_one_is_counted_and_given_it() {
    let mut stage = Stage::new().await;
    let ids = stage.history(2, &acked(), &acked()).await;
    let plan = stage.plan(everything(), None).await;
    let chosen = plan.choose(&stage.journal).await.unwrap();
    assert_eq!(chosen.count(), 4);
    let outcome = chosen.replay(&stage.journal, None).await.unwrap();
    assert_eq!(outcome, scheduled(4));
    assert_eq!(take_ids(&mut stage.lms, 2).await, ids);
    assert_eq!(take_ids(&mut stage.crm, 2).await, ids);
}

#[tokio::test]
async fn dead_letters_go_to_the_handler_that_gave_them_up() {
    let mut stage = Stage::new().await;
    let ids = stage.history(3, &dead(), &acked()).await;
    let all = Selection::DeadLetters(DeadLetterFilter::default());
    let plan = stage.plan(all, None).await;
    // One more dies later: it is not part of the plan.
    stage.history(1, &dead(), &acked()).await;
    let chosen = plan.choose(&stage.journal).await.unwrap();
    assert_eq!((chosen.count(), chosen.first()), (3, Some(ids[0])));
    chosen.replay(&stage.journal, None).await.unwrap();
    assert_eq!(take_ids(&mut stage.lms, 3).await, ids);
    assert_eq!(stage.journal.stats().await.unwrap().dead, 1);
}

#[tokio::test]
async fn a_run_that_is_repeated_schedules_nothing_twice() {
    let mut stage = Stage::new().await;
    stage.history(3, &acked(), &acked()).await;
    let plan = stage.plan(everything(), Some("lms.enrol")).await;
    let chosen = plan.choose(&stage.journal).await.unwrap();
    chosen.replay(&stage.journal, None).await.unwrap();
    let again = plan.choose(&stage.journal).await.unwrap();
    assert_eq!(again.count(), 3);
    again.replay(&stage.journal, None).await.unwrap();
    take(&mut stage.lms, 3).await;
    let marker = publish(&stage.journal, 9).await;
    assert_eq!(take_ids(&mut stage.lms, 1).await, [marker]);
}

#[tokio::test]
async fn a_paced_replay_is_spread_over_time() {
    let mut stage = Stage::new().await;
    let ids = stage.history(3, &acked(), &acked()).await;
    let plan = stage.plan(everything(), Some("lms.enrol")).await;
    let chosen = plan.choose(&stage.journal).await.unwrap();
    let start = stage.clock.now();
    let pace = Pace {
        start,
        per_second: NonZeroU32::new(2).unwrap(),
    };
    let outcome = chosen.replay(&stage.journal, Some(pace)).await.unwrap();
    assert_eq!(outcome, scheduled(3));
    let half = SECOND / 2;
    for (id, due) in ids
        .iter()
        .zip([start, start.after(half), start.after(SECOND)])
    {
        let detail = stage.journal.message(*id).await.unwrap().unwrap();
        let lms = |delivery: &&coordinator_journal::DeliveryRecord| delivery.handler == "lms.enrol";
        let delivery = detail.deliveries.iter().find(lms).unwrap();
        assert_eq!(delivery.due, Some(due));
    }
    for id in ids {
        assert_eq!(take_ids(&mut stage.lms, 1).await, [id]);
        stage.clock.advance(half);
    }
}

#[tokio::test]
async fn named_messages_that_are_gone_are_told() {
    let mut stage = Stage::new().await;
    let mut ids = stage.history(1, &acked(), &acked()).await;
    let gone = MessageId::new(Timestamp::from_millis(1));
    ids.extend([gone, ids[0]]);
    let plan = stage.plan(Selection::Messages(ids), None).await;
    let chosen = plan.choose(&stage.journal).await.unwrap();
    assert_eq!((chosen.count(), chosen.unknown()), (2, &[gone][..]));
    let outcome = chosen.replay(&stage.journal, None).await.unwrap();
    assert_eq!((outcome.scheduled, outcome.not_found), (2, 1));
}

#[tokio::test]
async fn a_selection_that_would_reach_others_is_refused() {
    let stage = Stage::new().await;
    let now = stage.clock.now();
    let filter = MessageFilter {
        state: Some(MessageState::Retrying),
        ..MessageFilter::default()
    };
    let refused = Plan::freeze(Selection::Filter(filter.clone()), None, now).unwrap_err();
    assert!(matches!(refused, SelectionError::StateOfNobody("retrying")));
    let lms = Some("lms.enrol".to_owned());
    Plan::freeze(Selection::Filter(filter), lms, now).unwrap();

    let many = (0..1_001).map(|_| MessageId::new(now)).collect();
    let refused = Plan::freeze(Selection::Messages(many), None, now).unwrap_err();
    assert!(matches!(refused, SelectionError::TooManyNamed(1_001)));

    let nobody = Plan::freeze(everything(), Some("no.body".to_owned()), now).unwrap();
    let refused = nobody.choose(&stage.journal).await.unwrap_err();
    assert!(matches!(refused, SelectionError::UnknownHandler(name) if name == "no.body"));
}
