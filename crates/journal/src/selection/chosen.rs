//! What a plan means now, and doing it: in steps that are one write each, so that a broken run may be repeated.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use coordinator_message::{MessageId, MessageType, Timestamp};

use super::{DeadLetterFilter, MOST_DELIVERIES, MessageFilter, Plan, Selection, SelectionError};
use crate::{
    Discard, HandlerStats, Journal, JournalError, MessageRecord, MessageState, Replay, Replayed,
};

/// Messages of one write, and of one page.
const STEP: usize = 500;

/// The deliveries that a plan means, the first to be done at the head. Ids only: a million of them fit into memory.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    targets: Vec<Target>,
    deliveries: u64,
    unknown: Vec<MessageId>,
    dropped: u64,
}

#[derive(Debug, Clone)]
struct Target {
    message: MessageId,
    /// `None`: every handler that is bound to its type.
    handler: Option<Arc<str>>,
    deliveries: u64,
}

/// At most so many deliveries a second, from a time on.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When the first is due.
    pub start: Timestamp,
    /// How many in a second.
    pub per_second: NonZeroU32,
}

/// What a replay of many came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Deliveries that will be made; one that was still to come is not among them.
    pub scheduled: u64,
    /// Messages that are gone, or not for that handler.
    pub not_found: u64,
    /// Messages that have no payload any more.
    pub payload_dropped: u64,
}

/// It broke off. What is done stays done; the same plan may be run again.
#[derive(Debug, thiserror::Error)]
#[error("it broke off after {done} deliveries")]
pub struct Broken {
    /// Deliveries so far.
    pub done: u64,
    /// Why.
    #[source]
    pub source: JournalError,
}

impl Plan {
    /// What the plan means now.
    ///
    /// # Errors
    ///
    /// [`SelectionError::TooMany`], [`SelectionError::UnknownHandler`], or the engine cannot be read.
    pub async fn choose(&self, journal: &dyn Journal) -> Result<Chosen, SelectionError> {
        let handlers = journal.stats().await?.handlers;
        if let Some(name) = &self.handler
            && !handlers.iter().any(|known| known.handler == *name)
        {
            return Err(SelectionError::UnknownHandler(name.clone()));
        }
        let bound = Bound::new(&handlers, self.handler.as_deref());
        let mut chosen = Chosen::default();
        match &self.selection {
            Selection::Messages(ids) => chosen.add_named(journal, ids, &bound).await?,
            Selection::Filter(filter) => {
                chosen.add_messages(journal, filter, &bound).await?;
                chosen.targets.reverse();
            }
            Selection::DeadLetters(filter) => {
                chosen.add_dead_letters(journal, filter).await?;
                chosen.targets.reverse();
            }
        }
        Ok(chosen)
    }
}

/// To how many handlers a message goes, by its type.
struct Bound {
    /// The one that is meant; `None` is each.
    handler: Option<Arc<str>>,
    known: BTreeMap<MessageType, u64>,
}

impl Bound {
    fn new(handlers: &[HandlerStats], only: Option<&str>) -> Self {
        let meant = |handler: &&HandlerStats| only.is_none_or(|only| handler.handler == only);
        let mut known = BTreeMap::new();
        for ty in handlers
            .iter()
            .filter(meant)
            .flat_map(|handler| &handler.types)
        {
            *known.entry(ty.clone()).or_default() += 1;
        }
        Self {
            handler: only.map(Arc::from),
            known,
        }
    }

    fn deliveries(&self, ty: &MessageType) -> u64 {
        self.known.get(ty).copied().unwrap_or(0)
    }
}

impl Chosen {
    /// How many deliveries these are. Those that are still to come are among them.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.deliveries
    }

    /// The message that is done first.
    #[must_use]
    pub fn first(&self) -> Option<MessageId> {
        self.targets.first().map(|target| target.message)
    }

    /// The message that is done last.
    #[must_use]
    pub fn last(&self) -> Option<MessageId> {
        self.targets.last().map(|target| target.message)
    }

    /// Messages that were named, and are not in the journal or go to no handler that is meant.
    #[must_use]
    pub fn unknown(&self) -> &[MessageId] {
        &self.unknown
    }

    /// How many messages fit that have no payload any more: they cannot be delivered again.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Delivers them again: at once, or spread from `pace.start` on.
    ///
    /// # Errors
    ///
    /// [`Broken`]: the steps before it stay done.
    pub async fn replay(
        &self,
        journal: &dyn Journal,
        pace: Option<Pace>,
    ) -> Result<Outcome, Broken> {
        let mut outcome = Outcome {
            not_found: self.unknown.len() as u64,
            payload_dropped: self.dropped,
            ..Outcome::default()
        };
        let mut before = 0;
        for step in self.targets.chunks(STEP) {
            let batch = step.iter().map(|target| {
                let due = pace.map(|pace| pace.due(before));
                before += target.deliveries;
                Replay {
                    message: target.message,
                    handler: target.handler.as_deref().map(str::to_owned),
                    due,
                }
            });
            let answers = journal.replay(batch.collect()).await;
            let answers = answers.map_err(|source| Broken {
                done: outcome.scheduled,
                source,
            })?;
            for answer in answers {
                match answer {
                    Replayed::Scheduled(deliveries) => outcome.scheduled += deliveries,
                    Replayed::NotFound => outcome.not_found += 1,
                    Replayed::PayloadDropped => outcome.payload_dropped += 1,
                }
            }
        }
        Ok(outcome)
    }

    /// Discards them; answers how many deliveries that were.
    ///
    /// # Errors
    ///
    /// [`Broken`]: the steps before it stay done.
    pub async fn discard(&self, journal: &dyn Journal) -> Result<u64, Broken> {
        let mut done = 0;
        for step in self.targets.chunks(STEP) {
            let batch = step.iter().map(|target| Discard {
                message: target.message,
                handler: target.handler.as_deref().map(str::to_owned),
            });
            let discarded = journal.discard(batch.collect()).await;
            done += discarded
                .map_err(|source| Broken { done, source })?
                .iter()
                .sum::<u64>();
        }
        Ok(done)
    }

    async fn add_named(
        &mut self,
        journal: &dyn Journal,
        ids: &[MessageId],
        bound: &Bound,
    ) -> Result<(), SelectionError> {
        for id in ids {
            let detail = journal.message(*id).await?;
            match detail.filter(|detail| bound.deliveries(&detail.record.message.ty) > 0) {
                Some(detail) => self.add_message(&detail.record, bound)?,
                None => self.unknown.push(*id),
            }
        }
        Ok(())
    }

    async fn add_messages(
        &mut self,
        journal: &dyn Journal,
        filter: &MessageFilter,
        bound: &Bound,
    ) -> Result<(), SelectionError> {
        let mut cursor = None;
        loop {
            let page = journal.messages(filter.query(cursor, STEP)).await?;
            for record in &page.items {
                self.add_message(record, bound)?;
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn add_dead_letters(
        &mut self,
        journal: &dyn Journal,
        filter: &DeadLetterFilter,
    ) -> Result<(), SelectionError> {
        let mut names: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut cursor = None;
        loop {
            let page = journal.dead_letters(filter.query(cursor, STEP)).await?;
            for letter in page.items {
                let name = names
                    .entry(letter.handler)
                    .or_insert_with_key(|name| name.as_str().into());
                self.add(Target {
                    message: letter.message.id,
                    handler: Some(Arc::clone(name)),
                    deliveries: 1,
                })?;
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    fn add_message(&mut self, record: &MessageRecord, bound: &Bound) -> Result<(), SelectionError> {
        if record.payload_dropped {
            self.dropped += 1;
            return Ok(());
        }
        // All of a delayed message is still to come.
        if record.state == MessageState::Delayed {
            return Ok(());
        }
        self.add(Target {
            message: record.message.id,
            handler: bound.handler.clone(),
            deliveries: bound.deliveries(&record.message.ty),
        })
    }

    /// A message that goes to nobody is no part of it.
    fn add(&mut self, target: Target) -> Result<(), SelectionError> {
        if target.deliveries == 0 {
            return Ok(());
        }
        self.deliveries += target.deliveries;
        if self.deliveries > MOST_DELIVERIES {
            return Err(SelectionError::TooMany);
        }
        self.targets.push(target);
        Ok(())
    }
}

impl Pace {
    /// When the delivery is due that has so many `before` it.
    fn due(self, before: u64) -> Timestamp {
        let millis = before.saturating_mul(1_000) / u64::from(self.per_second.get());
        self.start.after(Duration::from_millis(millis))
    }
}
