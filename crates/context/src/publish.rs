//! From what a publisher says to a message that the journal takes: checked against every schema of its type.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use coordinator_abi::call::PublishItem;
use coordinator_journal::{
    Journal, JournalError, NewMessage, PublishError, Receipt, ReceiptStatus, Tick,
};
use coordinator_message::{Envelope, MessageId, MessageType, Timestamp, TraceParent};
use coordinator_telemetry::metric::{self, PublishOutcome};
use coordinator_wiring::{KnownType, ValidateError, Wiring};

/// Checks messages and hands them to the journal. Clones share one wiring, also when it is replaced.
#[derive(Clone)]
pub struct Publisher {
    journal: Arc<dyn Journal>,
    known: Arc<ArcSwap<Known>>,
}

/// What is known of types.
struct Known {
    wiring: Arc<Wiring>,
    /// What drains may still publish types that only an earlier wiring knew. Newest first.
    before: Vec<Arc<Wiring>>,
}

/// Who publishes, and in which trace.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Scopes idempotency keys: `plugin/stripe`, `key/orders`.
    pub publisher: String,
    /// CloudEvents source.
    pub source: String,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
}

/// A message was refused before the journal saw it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not a type at all.
    #[error(transparent)]
    MalformedType(#[from] coordinator_message::ParseTypeError),
    /// Not known, not JSON, or against a schema.
    #[error(transparent)]
    Invalid(#[from] ValidateError),
    /// To be delivered too far ahead.
    #[error(
        "`{at}` is more than {MAX_DELAY_DAYS} days ahead: a message is not kept for longer than that"
    )]
    TooFarAhead {
        /// When it was to be delivered.
        at: Timestamp,
    },
}

/// No message waits for longer than this for its time. A leap year, so that "in a year" is always possible.
const MAX_DELAY_DAYS: u64 = 366;

impl Publisher {
    /// Publishes into this journal what this wiring knows.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, wiring: Arc<Wiring>) -> Self {
        let known = Known {
            wiring,
            before: Vec::new(),
        };
        Self {
            journal,
            known: Arc::new(ArcSwap::from_pointee(known)),
        }
    }

    /// From now on this is the wiring; answers the one before. Types that only that one knew can still be published
    /// until [`Self::forget`], by what was running under it.
    pub fn replace(&self, wiring: &Arc<Wiring>) -> Arc<Wiring> {
        let known = self.known.rcu(|known| {
            let before = std::iter::once(&known.wiring).chain(&known.before);
            Known {
                wiring: Arc::clone(wiring),
                before: before.map(Arc::clone).collect(),
            }
        });
        Arc::clone(&known.wiring)
    }

    /// What ran under this wiring has ended.
    pub fn forget(&self, ended: &Arc<Wiring>) {
        self.known.rcu(|known| {
            let before = known.before.iter().filter(|one| !Arc::ptr_eq(one, ended));
            Known {
                wiring: Arc::clone(&known.wiring),
                before: before.map(Arc::clone).collect(),
            }
        });
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// The wiring.
    #[must_use]
    pub fn wiring(&self) -> Arc<Wiring> {
        Arc::clone(&self.known.load().wiring)
    }

    /// Checks one message. The id is the caller's: a fresh one, or one derived from a delivery; `time` is when it
    /// happened.
    ///
    /// # Errors
    ///
    /// If its type is not known, its payload does not fit, or it is to be delivered too far ahead.
    pub fn prepare(
        &self,
        item: PublishItem,
        payload: Bytes,
        origin: &Origin,
        id: MessageId,
        time: Timestamp,
    ) -> Result<NewMessage, Refused> {
        let ty = item.ty.parse()?;
        let deliver_at = deliver_at(item.deliver_at_ms, Timestamp::now())?;
        let all = self.known.load();
        let known = all.validate(&ty, &payload).inspect_err(|_| {
            metric::messages_published(&item.ty, PublishOutcome::Refused, 1);
        })?;
        let mut envelope = Envelope::new(id, ty, origin.source.clone(), time, payload);
        envelope.lane.clone_from(&known.lane);
        envelope.key = match (item.key, &known.key) {
            (None, Some(field)) => key_of(&envelope.data, field),
            (key, _) => key,
        };
        envelope.subject = item.subject;
        envelope.trace = origin.trace;
        Ok(NewMessage {
            envelope,
            publisher: origin.publisher.clone(),
            // An empty key would make one message of all that carry it.
            idempotency_key: item.idempotency_key.filter(|key| !key.is_empty()),
            deliver_at,
        })
    }

    /// Stores checked messages, all or nothing. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If the journal is full or cannot be written.
    pub async fn publish(&self, batch: Vec<NewMessage>) -> Result<Vec<Receipt>, PublishError> {
        let types: Vec<_> = batch
            .iter()
            .map(|message| message.envelope.ty.clone())
            .collect();
        let published = self.journal.publish(batch).await;
        for (index, ty) in types.iter().enumerate() {
            let outcome = match &published {
                Ok(receipts) => match receipts.get(index).map(|receipt| receipt.status) {
                    Some(ReceiptStatus::Accepted) | None => PublishOutcome::Accepted,
                    Some(ReceiptStatus::Duplicate | ReceiptStatus::Conflict) => {
                        PublishOutcome::Duplicate
                    }
                },
                Err(_) => PublishOutcome::Refused,
            };
            metric::messages_published(ty.as_str(), outcome, 1);
        }
        published
    }

    /// Stores what a schedule publishes, with the time of its tick, in one write. False if that tick, or a later one,
    /// was made already: then nothing is stored.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written; the tick was not made then.
    pub async fn tick(
        &self,
        schedule: &str,
        at: Timestamp,
        message: NewMessage,
    ) -> Result<bool, JournalError> {
        let ty = message.envelope.ty.clone();
        let tick = Tick {
            schedule: schedule.to_owned(),
            at,
            message: Some(message),
        };
        let made = self.journal.tick(tick).await?;
        if made {
            metric::messages_published(ty.as_str(), PublishOutcome::Accepted, 1);
        }
        Ok(made)
    }
}

impl Known {
    fn validate(&self, ty: &MessageType, payload: &[u8]) -> Result<&KnownType, ValidateError> {
        let mut validated = self.wiring.types.validate(ty, payload);
        for before in &self.before {
            if !matches!(validated, Err(ValidateError::UnknownType(_))) {
                break;
            }
            validated = before.types.validate(ty, payload);
        }
        validated
    }
}

/// When to deliver, if that is not now. What is due already goes the common way.
fn deliver_at(millis: Option<i64>, now: Timestamp) -> Result<Option<Timestamp>, Refused> {
    let at = millis.map(Timestamp::from_millis).filter(|at| *at > now);
    let latest = now.after(Duration::from_secs(MAX_DELAY_DAYS * 24 * 3600));
    match at {
        Some(at) if at > latest => Err(Refused::TooFarAhead { at }),
        at => Ok(at),
    }
}

/// The ordering key that the type declares, where its publisher gave none: text as it is, other scalars as JSON.
fn key_of(payload: &[u8], field: &str) -> Option<String> {
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    match payload.get(field)? {
        serde_json::Value::String(text) => Some(text.clone()),
        scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
            Some(scalar.to_string())
        }
        _ => None,
    }
}
