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
        }
    }
}

impl From<&MessageRecord> for MessageView {
    fn from(record: &MessageRecord) -> Self {
        Self {
            state: Some(record.state),
            accepted: Some(record.accepted),
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
    attempts: Vec<AttemptRecord>,
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
