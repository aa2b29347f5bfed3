//! Which deliveries an operator means: frozen and counted first, then replayed or discarded in small steps.
//!
//! In: ids, or a filter over messages or dead letters. Out: a [`Plan`] that means the same messages whenever it is
//! asked, and [`Chosen`], what it means now. Works over any engine; not here: who may do it, and what it is called.

mod chosen;

use coordinator_message::{MessageId, MessageType, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::chosen::{Broken, Chosen, Outcome, Pace};
use crate::{DeadLetterQuery, JournalError, MessageQuery, MessageState};

/// Most deliveries of one plan.
pub const MOST_DELIVERIES: u64 = 1_000_000;
/// Most messages that are named one by one.
pub const MOST_NAMED: usize = 1_000;

/// What an operator chooses by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// These, in this order.
    Messages(Vec<MessageId>),
    /// Every message that fits, oldest first.
    Filter(MessageFilter),
    /// Every dead letter that fits, the one that died first at the head.
    DeadLetters(DeadLetterFilter),
}

/// Which messages; see [`MessageQuery`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageFilter {
    /// Of this type.
    #[serde(rename = "type")]
    pub ty: Option<MessageType>,
    /// In this state; for a handler, where one is named.
    pub state: Option<MessageState>,
    /// With a delivery to this handler.
    pub handler: Option<String>,
    /// With this ordering key.
    pub key: Option<String>,
    /// Of this correlation.
    pub correlation: Option<MessageId>,
    /// From this source.
    pub source: Option<String>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// With this text in the payload.
    #[serde(rename = "q")]
    pub text: Option<String>,
}

/// Which dead letters; see [`DeadLetterQuery`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Of this handler.
    pub handler: Option<String>,
    /// Of this type.
    #[serde(rename = "type")]
    pub ty: Option<MessageType>,
    /// Died at or after.
    pub since: Option<Timestamp>,
    /// Died before.
    pub until: Option<Timestamp>,
}

/// A selection that no later message enters. It may be kept as text and asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    selection: Selection,
    handler: Option<String>,
}

/// A selection cannot be planned, or not be counted.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// More ids than one plan names.
    #[error("{0} messages are named, at most {MOST_NAMED} may be")]
    TooManyNamed(usize),
    /// More deliveries than one plan may have.
    #[error("more than {MOST_DELIVERIES} deliveries fit")]
    TooMany,
    /// The other handlers of such a message are in other states, and would be given it again.
    #[error("a message is {0} for some handler, and may be in another state for the next")]
    StateOfNobody(&'static str),
    /// The journal never saw this handler.
    #[error("there is no handler `{0}`")]
    UnknownHandler(String),
    /// The engine cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
}

impl Plan {
    /// Freezes a selection: what is accepted, or dies, from `now` on is not part of it. Deliveries go to `handler`; to
    /// the handler that the filter names if that is `None`; else to every handler that is bound to the message's type.
    ///
    /// # Errors
    ///
    /// [`SelectionError::TooManyNamed`], [`SelectionError::StateOfNobody`].
    pub fn freeze(
        selection: Selection,
        handler: Option<String>,
        now: Timestamp,
    ) -> Result<Self, SelectionError> {
        let plan = match selection {
            Selection::Messages(mut ids) => {
                if ids.len() > MOST_NAMED {
                    return Err(SelectionError::TooManyNamed(ids.len()));
                }
                let mut seen = std::collections::HashSet::new();
                ids.retain(|id| seen.insert(*id));
                Self {
                    selection: Selection::Messages(ids),
                    handler,
                }
            }
            Selection::Filter(mut filter) => {
                filter.until = Some(ended(filter.until, now));
                let handler = handler.or_else(|| filter.handler.clone());
                if let Some(state) = filter.state.and_then(of_one_handler) {
                    // The state is that for the handler which is given the message.
                    filter.handler = filter.handler.or_else(|| handler.clone());
                    if filter.handler.is_none() {
                        return Err(SelectionError::StateOfNobody(state));
                    }
                }
                Self {
                    selection: Selection::Filter(filter),
                    handler,
                }
            }
            Selection::DeadLetters(mut filter) => {
                filter.until = Some(ended(filter.until, now));
                filter.handler = filter.handler.or_else(|| handler.clone());
                Self {
                    selection: Selection::DeadLetters(filter),
                    handler,
                }
            }
        };
        Ok(plan)
    }

    /// The same, read from text that somebody kept: it may have been written by anybody.
    ///
    /// # Errors
    ///
    /// As [`Self::freeze`].
    pub fn again(self, now: Timestamp) -> Result<Self, SelectionError> {
        Self::freeze(self.selection, self.handler, now)
    }

    /// From when to when the messages were accepted, or the letters died; `None` is open, or ids are named.
    #[must_use]
    pub fn period(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        match &self.selection {
            Selection::Messages(_) => (None, None),
            Selection::Filter(filter) => (filter.since, filter.until),
            Selection::DeadLetters(filter) => (filter.since, filter.until),
        }
    }

    /// Is it about dead letters, and nothing else?
    #[must_use]
    pub fn is_of_dead_letters(&self) -> bool {
        matches!(self.selection, Selection::DeadLetters(_))
    }
}

fn ended(until: Option<Timestamp>, now: Timestamp) -> Timestamp {
    until.map_or(now, |until| until.min(now))
}

/// States that a message is in for one handler while it may be acked by another.
fn of_one_handler(state: MessageState) -> Option<&'static str> {
    match state {
        MessageState::Pending => Some("pending"),
        MessageState::Retrying => Some("retrying"),
        MessageState::Parked => Some("parked"),
        MessageState::Dead => Some("dead"),
        MessageState::Delayed | MessageState::Unhandled | MessageState::Acked => None,
    }
}

impl MessageFilter {
    /// One page of it, newest first: that order has an end, whatever is accepted meanwhile.
    fn query(&self, cursor: Option<String>, limit: usize) -> MessageQuery {
        MessageQuery {
            ty: self.ty.clone(),
            state: self.state,
            handler: self.handler.clone(),
            key: self.key.clone(),
            correlation: self.correlation,
            source: self.source.clone(),
            text: self.text.clone(),
            since: self.since,
            until: self.until,
            oldest_first: false,
            cursor,
            limit,
        }
    }
}

impl DeadLetterFilter {
    fn query(&self, cursor: Option<String>, limit: usize) -> DeadLetterQuery {
        DeadLetterQuery {
            handler: self.handler.clone(),
            ty: self.ty.clone(),
            since: self.since,
            until: self.until,
            cursor,
            limit,
        }
    }
}
