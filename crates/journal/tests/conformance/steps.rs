//! The steps that tests are made of.

use std::time::Duration;

use coordinator_journal::{
    Control, DeadLetter, DeadLetterQuery, Deliveries, Delivery, DeliveryRecord, Discard,
    Durability, Failure, FailureKind, HandlerSpec, HandlerStats, Journal, Limits, NewMessage,
    Receipt, Replay, Replayed, Settle, SettleOutcome, StartFrom, Verdict,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp};

pub(crate) const PAID: &str = "org.openedx.payment.received.v1";
pub(crate) const ENROLLED: &str = "org.openedx.enrolment.created.v1";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// What a receipt of this suite says.
pub(crate) const STRICT: Durability = Durability::Strict;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Bounds that no test reaches by accident.
pub(crate) fn roomy() -> Limits {
    Limits {
        retention: RETENTION,
        max_size: 1 << 30,
        max_backlog: 1 << 20,
        ..Limits::default()
    }
}

pub(crate) fn ty(name: &str) -> MessageType {
    name.parse().unwrap()
}

/// A message of this type with this payload.
pub(crate) fn message(name: &str, data: &str) -> NewMessage {
    let now = Timestamp::now();
    let data = data.to_owned().into();
    NewMessage {
        envelope: Envelope::new(MessageId::new(now), ty(name), "/plugins/stripe", now, data),
        publisher: "plugin/stripe".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

/// The same with an idempotency key.
pub(crate) fn keyed(name: &str, data: &str, key: &str) -> NewMessage {
    NewMessage {
        idempotency_key: Some(key.to_owned()),
        ..message(name, data)
    }
}

pub(crate) async fn publish(journal: &dyn Journal, message: NewMessage) -> Receipt {
    journal.publish(vec![message]).await.unwrap().remove(0)
}

/// Publishes messages with the payloads `1`, `2`, … and answers their ids.
pub(crate) async fn publish_numbers(
    journal: &dyn Journal,
    name: &str,
    count: usize,
) -> Vec<MessageId> {
    let batch = (1..=count)
        .map(|number| message(name, &number.to_string()))
        .collect();
    journal
        .publish(batch)
        .await
        .unwrap()
        .into_iter()
        .map(|receipt| receipt.id)
        .collect()
}

pub(crate) fn spec(id: &str, types: &[&str], from: StartFrom) -> HandlerSpec {
    HandlerSpec {
        from,
        ..HandlerSpec::new(id.to_owned(), types.iter().map(|name| ty(name)).collect())
    }
}

/// Opens a handler of [`PAID`] that starts now.
pub(crate) async fn paid_handler(journal: &dyn Journal, id: &str) -> Box<dyn Deliveries> {
    journal
        .open(spec(id, &[PAID], StartFrom::Now))
        .await
        .unwrap()
}

/// Waits for deliveries. The limit of its patience is for a hung test, not an expectation.
pub(crate) async fn next(stream: &mut Box<dyn Deliveries>, max: usize) -> Vec<Delivery> {
    let next = tokio::time::timeout(PATIENCE, stream.next(max)).await;
    let next = next.expect("deliveries should come").unwrap();
    assert!(!next.is_empty(), "the stream ended");
    assert!(next.len() <= max, "more came than were asked for");
    next
}

/// Waits for exactly `count` deliveries.
pub(crate) async fn take(stream: &mut Box<dyn Deliveries>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(next(stream, count - taken.len()).await);
    }
    taken
}

pub(crate) async fn take_one(stream: &mut Box<dyn Deliveries>) -> Delivery {
    take(stream, 1).await.remove(0)
}

/// Proves that nothing else waits: the next delivery is that of a message published now.
pub(crate) async fn nothing_else_waits(journal: &dyn Journal, stream: &mut Box<dyn Deliveries>) {
    let marker = publish(journal, message(PAID, "\"marker\"")).await;
    let next = take_one(stream).await;
    assert_eq!(
        next.message.id,
        marker.id,
        "`{}` was delivered instead",
        data(&next)
    );
    ack(journal, &next).await;
}

pub(crate) fn data(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.data.to_vec()).unwrap()
}

pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(data).collect()
}

pub(crate) async fn settle(
    journal: &dyn Journal,
    delivery: &Delivery,
    verdict: Verdict,
) -> SettleOutcome {
    let settle = Settle {
        token: delivery.token.clone(),
        verdict,
    };
    journal.settle(vec![settle]).await.unwrap()[0]
}

pub(crate) async fn ack(journal: &dyn Journal, delivery: &Delivery) {
    let outcome = settle(journal, delivery, Verdict::Ack { emits: Vec::new() }).await;
    assert_eq!(outcome, SettleOutcome::Settled);
}

pub(crate) async fn retry(journal: &dyn Journal, delivery: &Delivery, due: Timestamp) {
    let verdict = Verdict::Retry {
        due,
        failure: failure(FailureKind::Retry, "LMS answered 503"),
    };
    assert_eq!(
        settle(journal, delivery, verdict).await,
        SettleOutcome::Settled
    );
}

pub(crate) async fn kill(journal: &dyn Journal, delivery: &Delivery) {
    let verdict = Verdict::Dead {
        failure: failure(FailureKind::Refused, "LMS answered 422"),
    };
    assert_eq!(
        settle(journal, delivery, verdict).await,
        SettleOutcome::Settled
    );
}

/// Delivers a message again; answers how many deliveries that are.
pub(crate) async fn replay(
    journal: &dyn Journal,
    message: MessageId,
    handler: Option<&str>,
) -> u64 {
    let replay = Replay {
        message,
        handler: handler.map(str::to_owned),
        due: None,
    };
    match journal.replay(vec![replay]).await.unwrap()[..] {
        [Replayed::Scheduled(count)] => count,
        ref other => panic!("{other:?}"),
    }
}

pub(crate) fn failure(kind: FailureKind, text: &str) -> Failure {
    Failure {
        kind,
        chain: vec![text.to_owned()],
        started: Timestamp::from_millis(1),
        ran_ms: 7,
    }
}

/// What `delivery` emits at `index`, as the dispatcher makes it.
pub(crate) fn emit(delivery: &Delivery, index: u32, name: &str, data: &str) -> NewMessage {
    let mut new = message(name, data);
    new.envelope.id = delivery.emit_id(index);
    new.envelope.cause = Some(delivery.message.id);
    new.envelope.correlation = delivery.message.correlation;
    new
}

/// A message of type [`PAID`] whose ordering key is the first letter of its payload: `a1`, `a2`, `b1`.
pub(crate) fn lettered(data: &str) -> NewMessage {
    in_key(PAID, &data[..1], data)
}

/// A message with this ordering key.
pub(crate) fn in_key(name: &str, key: &str, data: &str) -> NewMessage {
    let mut new = message(name, data);
    new.envelope.key = Some(key.to_owned());
    new
}

/// A message that is not delivered before `at`.
pub(crate) fn later(name: &str, data: &str, at: Timestamp) -> NewMessage {
    NewMessage {
        deliver_at: Some(at),
        ..message(name, data)
    }
}

/// Publishes [`lettered`] messages as one batch; answers their ids.
pub(crate) async fn publish_letters(journal: &dyn Journal, letters: &[&str]) -> Vec<MessageId> {
    let batch = letters.iter().map(|data| lettered(data)).collect();
    let receipts = journal.publish(batch).await.unwrap();
    receipts.into_iter().map(|receipt| receipt.id).collect()
}

/// Opens a handler of [`PAID`] that keeps the order of each key.
pub(crate) async fn ordered_handler(journal: &dyn Journal, id: &str) -> Box<dyn Deliveries> {
    let spec = HandlerSpec {
        order: true,
        ..spec(id, &[PAID], StartFrom::Now)
    };
    journal.open(spec).await.unwrap()
}

/// Proves that nothing else waits for a handler of [`PAID`], whatever its key and wherever an engine keeps that key.
pub(crate) async fn nothing_else_waits_in_any_key(
    journal: &dyn Journal,
    stream: &mut Box<dyn Deliveries>,
) {
    let markers = (0..16).map(|number| in_key(PAID, &format!("marker {number}"), "marker"));
    journal.publish(markers.collect()).await.unwrap();
    let taken = take(stream, 16).await;
    assert_eq!(texts(&taken), ["marker"; 16]);
    ack_all(journal, &taken).await;
}

pub(crate) async fn ack_all(journal: &dyn Journal, deliveries: &[Delivery]) {
    let acks = deliveries.iter().map(|delivery| Settle {
        token: delivery.token.clone(),
        verdict: Verdict::Ack { emits: Vec::new() },
    });
    let outcomes = journal.settle(acks.collect()).await.unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == SettleOutcome::Settled),
        "{outcomes:?}"
    );
}

/// Settles what is current.
pub(crate) async fn settled(journal: &dyn Journal, delivery: &Delivery, verdict: Verdict) {
    let outcome = settle(journal, delivery, verdict).await;
    assert_eq!(outcome, SettleOutcome::Settled, "`{}`", data(delivery));
}

pub(crate) async fn park(journal: &dyn Journal, delivery: &Delivery) {
    let failure = failure(FailureKind::Refused, "given up for now");
    settled(journal, delivery, Verdict::Park { failure }).await;
}

pub(crate) async fn dead_key(journal: &dyn Journal, delivery: &Delivery) {
    let failure = failure(FailureKind::Refused, "given up with its key");
    settled(journal, delivery, Verdict::DeadKey { failure }).await;
}

pub(crate) async fn release(journal: &dyn Journal, delivery: &Delivery, due: Option<Timestamp>) {
    settled(journal, delivery, Verdict::Release { due }).await;
}

/// Settles a message without running it; answers how many deliveries that were.
pub(crate) async fn discard(
    journal: &dyn Journal,
    message: MessageId,
    handler: Option<&str>,
) -> u64 {
    let handler = handler.map(str::to_owned);
    let discard = Discard { message, handler };
    journal.discard(vec![discard]).await.unwrap()[0]
}

/// Does this to a handler that is known.
pub(crate) async fn control(journal: &dyn Journal, handler: &str, control: Control) -> u64 {
    let skipped = journal.control(handler, control).await.unwrap();
    skipped.expect("the handler should be known")
}

pub(crate) async fn handler_stats(journal: &dyn Journal, id: &str) -> HandlerStats {
    let handlers = journal.stats().await.unwrap().handlers;
    let found = handlers.into_iter().find(|handler| handler.handler == id);
    found.expect("the handler should be counted")
}

/// All dead letters, newest first.
pub(crate) async fn dead_letters(journal: &dyn Journal) -> Vec<DeadLetter> {
    let query = DeadLetterQuery {
        limit: 500,
        ..DeadLetterQuery::default()
    };
    journal.dead_letters(query).await.unwrap().items
}

/// The delivery of a message to a handler.
pub(crate) async fn delivery(
    journal: &dyn Journal,
    message: MessageId,
    handler: &str,
) -> DeliveryRecord {
    let detail = journal.message(message).await.unwrap();
    let mut deliveries = detail.expect("the message should be known").deliveries;
    deliveries.retain(|delivery| delivery.handler == handler);
    deliveries.pop().expect("the handler should be bound to it")
}
