//! How many records of each kind a journal has: what is compared after a move.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_journal::{Record, WaitingDelivery};
use serde::Serialize;

const DELAYED: &str = "delayed messages";
const WAITING: &str = "waiting messages";

/// Numbers of records.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Of each kind.
    all: BTreeMap<&'static str, u64>,
    /// Of the deliveries of each handler.
    handlers: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

/// One line of the comparison.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) here: u64,
    pub(super) there: Option<u64>,
}

impl Counts {
    pub(super) fn add(&mut self, record: &Record) {
        match record {
            Record::Handler(handler) => {
                self.one("handlers");
                self.handlers.entry(handler.id.clone()).or_default();
            }
            Record::Message(message) => {
                let is_delayed = message.deliver_at.is_some() && message.deliveries.is_empty();
                self.one(if is_delayed { DELAYED } else { WAITING });
                for delivery in &message.deliveries {
                    self.of(&delivery.handler, state(delivery));
                }
            }
            Record::DeadLetter(letter) => {
                self.one("dead letters");
                self.of(&letter.handler, "dead");
            }
            Record::Key(_) => self.one("idempotency keys"),
            Record::Schedule { .. } => self.one("schedules"),
        }
    }

    /// How many records there are.
    pub(super) fn records(&self) -> u64 {
        self.all.values().sum()
    }

    /// There is at least as much of everything as in `source`; what the target had before is its own, and a message
    /// may have stopped being delayed since.
    pub(super) fn covers(&self, source: &Self) -> bool {
        let messages = |counts: &Self| {
            let kinds = [DELAYED, WAITING].iter();
            kinds.filter_map(|kind| counts.all.get(kind)).sum::<u64>()
        };
        let others = |row: &Row| row.what != DELAYED && row.what != WAITING;
        messages(self) >= messages(source)
            && source
                .rows(Some(self))
                .filter(others)
                .all(|row| row.there >= Some(row.here))
    }

    /// Line by line, with what is on the other side.
    pub(super) fn rows<'a>(&'a self, other: Option<&'a Self>) -> impl Iterator<Item = Row> + 'a {
        let (here, there) = (self.flat(), other.map(Self::flat));
        let names: BTreeSet<String> = here
            .keys()
            .chain(there.iter().flat_map(BTreeMap::keys))
            .cloned()
            .collect();
        names.into_iter().map(move |what| Row {
            here: here.get(&what).copied().unwrap_or(0),
            there: there
                .as_ref()
                .map(|there| there.get(&what).copied().unwrap_or(0)),
            what,
        })
    }

    fn flat(&self) -> BTreeMap<String, u64> {
        let all = self
            .all
            .iter()
            .map(|(what, count)| ((*what).to_owned(), *count));
        let handlers = self.handlers.iter().flat_map(|(handler, states)| {
            let lines = states.iter();
            lines.map(move |(state, count)| (format!("{handler}: {state}"), *count))
        });
        all.chain(handlers).collect()
    }

    fn one(&mut self, what: &'static str) {
        *self.all.entry(what).or_default() += 1;
    }

    fn of(&mut self, handler: &str, state: &'static str) {
        let states = match self.handlers.get_mut(handler) {
            Some(states) => states,
            None => self.handlers.entry(handler.to_owned()).or_default(),
        };
        *states.entry(state).or_default() += 1;
    }
}

fn state(delivery: &WaitingDelivery) -> &'static str {
    match delivery {
        WaitingDelivery {
            parked: Some(_), ..
        } => "holding their key",
        WaitingDelivery { attempt: 0, .. } => "waiting",
        _ => "retrying",
    }
}
