//! The envelope: a CloudEvents 1.0 event with the extensions that delivery needs.

use bytes::Bytes;

use crate::{MessageId, MessageType, Timestamp, TraceParent};

/// One message. The payload is JSON text, kept as the bytes that were accepted.
///
/// The attributes follow [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md);
/// `key`, `lane`, `correlation` and `cause` are extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// CloudEvents `id`.
    pub id: MessageId,
    /// CloudEvents `type`, such as `org.openedx.payment.received.v1`.
    pub ty: MessageType,
    /// CloudEvents `source`: who published it, such as `/plugins/stripe` or the caller's own URI.
    pub source: String,
    /// CloudEvents `subject`, if the publisher gave one.
    pub subject: Option<String>,
    /// CloudEvents `time`: when the publisher says that it happened.
    pub time: Timestamp,
    /// Ordering key: messages of one key keep their order within their lane.
    pub key: Option<String>,
    /// What order holds within. Defaults to the type.
    pub lane: String,
    /// Shared by every message that descends from one cause.
    pub correlation: MessageId,
    /// The message whose handler published this one.
    pub cause: Option<MessageId>,
    /// W3C trace context that the message was published under.
    pub trace: Option<TraceParent>,
    /// The payload, JSON text.
    pub data: Bytes,
}

impl Envelope {
    /// A new message of type `ty` from `source`: its own correlation, no key, no cause, in the lane of its type.
    #[must_use]
    pub fn new(
        id: MessageId,
        ty: MessageType,
        source: impl Into<String>,
        time: Timestamp,
        data: Bytes,
    ) -> Self {
        Self {
            id,
            lane: ty.as_str().to_owned(),
            ty,
            source: source.into(),
            subject: None,
            time,
            key: None,
            correlation: id,
            cause: None,
            trace: None,
            data,
        }
    }
}
