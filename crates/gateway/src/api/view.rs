//! Records of the journal as JSON.

use coordinator_journal::{
    AttemptRecord, DeadLetter, DeliveryRecord, DeliveryState, Failure, MessageDetail,
    MessageRecord, MessageState,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

/// One page of a list.
#[derive(Serialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// A message without its payload.
#[derive(Serialize)]
pub(crate) struct MessageView {
    id: MessageId,
    #[serde(rename = "type")]
    ty: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: Timestamp,
    key: Option<String>,
    lane: String,
    correlation: MessageId,
    cause: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<MessageState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    payload_dropped: bool,
}

impl MessageView {
    fn of(message: &Envelope) -> Self {
        Self {
            id: message.id,
            ty: message.ty.to_string(),
            source: message.source.clone(),
            subject: message.subject.clone(),
            time: message.time,
            key: message.key.clone(),
            lane: message.lane.clone(),
            correlation: message.correlation,
            cause: message.cause,
            state: None,
            accepted: None,
            deliver_at: None,
            payload_dropped: false,
        }
    }
}

impl From<&MessageRecord> for MessageView {
    fn from(record: &MessageRecord) -> Self {
        Self {
            state: Some(record.state),
            accepted: Some(record.accepted),
            deliver_at: record.deliver_at,
            payload_dropped: record.payload_dropped,
            ..Self::of(&record.message)
        }
    }
}

/// A message with its payload and its deliveries.
#[derive(Serialize)]
pub(crate) struct DetailView {
    #[serde(flatten)]
    message: MessageView,
    trace_id: Option<String>,
    data: Option<Box<RawValue>>,
    deliveries: Vec<DeliveryView>,
    children: Vec<MessageId>,
}

#[derive(Serialize)]
struct DeliveryView {
    handler: String,
    state: DeliveryState,
    attempt: u32,
    replay: u32,
    due: Option<Timestamp>,
    /// Why it is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<Parked>,
    attempts: Vec<AttemptRecord>,
}

/// What holds a parked delivery.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Parked {
    /// An earlier message of its ordering key.
    BehindItsKey,
    /// Nothing: it was given up, and holds its ordering key until an operator replays or discards it.
    HoldsItsKey,
}

impl Parked {
    fn of(record: &DeliveryRecord) -> Option<Self> {
        let tried = |attempt: &AttemptRecord| attempt.replay == record.replay;
        match record.state {
            DeliveryState::Parked if record.attempts.iter().any(tried) => Some(Self::HoldsItsKey),
            DeliveryState::Parked => Some(Self::BehindItsKey),
            _ => None,
        }
    }
}

impl From<MessageDetail> for DetailView {
    fn from(detail: MessageDetail) -> Self {
        let message = &detail.record.message;
        let text = std::str::from_utf8(&message.data).unwrap_or_default();
        Self {
            trace_id: message.trace.map(|trace| trace.trace_id()),
            // Accepted payloads are JSON; a dropped one is empty.
            data: RawValue::from_string(text.to_owned()).ok(),
            deliveries: detail
                .deliveries
                .into_iter()
                .map(DeliveryView::from)
                .collect(),
            children: detail.children,
            message: (&detail.record).into(),
        }
    }
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(record: DeliveryRecord) -> Self {
        let parked = Parked::of(&record);
        let DeliveryRecord {
            handler,
            state,
            attempt,
            replay,
            due,
            attempts,
        } = record;
        Self {
            handler,
            state,
            attempt,
            replay,
            due,
            parked,
            attempts,
        }
    }
}

/// A dead letter.
#[derive(Serialize)]
pub(crate) struct DeadLetterView {
    handler: String,
    message: MessageView,
    died: Timestamp,
    attempts: u32,
    failure: Failure,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            message: MessageView::of(&letter.message),
            handler: letter.handler,
            died: letter.died,
            attempts: letter.attempts,
            failure: letter.failure,
        }
    }
}
