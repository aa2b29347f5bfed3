//! What arrived at the LMS, what it was answered, and which enrolments exist.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Entries held; older ones are forgotten, their counts stay.
const MAX_ENTRIES: usize = 100_000;

/// What a request asked for, as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The LMS user name.
    pub user: Option<String>,
    /// The course key.
    pub course: Option<String>,
    /// The enrolment attribute `order_number`.
    pub order_number: Option<String>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Not yet answered: being delayed, or its caller went away meanwhile.
    Pending,
    /// Answered with a status.
    Answered,
    /// Left without an answer on purpose.
    Hung,
    /// The connection was closed on purpose.
    Closed,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it arrived, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What it asked for.
    pub asked: Asked,
    /// How it ended.
    pub outcome: Outcome,
    /// The status it was answered with.
    pub status: Option<u16>,
    /// It asked for an enrolment that had already been made.
    pub repeat: bool,
}

/// Totals since the start or the last clearing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that arrived.
    pub requests: u64,
    /// Distinct enrolments made.
    pub enrolled: u64,
    /// Requests for an enrolment that had already been made.
    pub repeats: u64,
    /// Those of them with another idempotency key than the first: a caller that lost count.
    pub repeats_with_new_key: u64,
    /// Requests left hanging or cut off.
    pub unanswered: u64,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Entries no longer held.
    pub forgotten: u64,
}

/// A part of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Totals of the whole ledger.
    pub counts: Counts,
    /// Entries, oldest first.
    pub entries: Vec<Entry>,
    /// `after` of the next page; none on the last.
    pub next: Option<u64>,
}

#[derive(Default)]
struct Book {
    last_seq: u64,
    entries: VecDeque<Entry>,
    /// (user, course) → idempotency key of the request that made it.
    enrolments: HashMap<(String, String), String>,
    counts: Counts,
}

impl Book {
    fn entry(&mut self, seq: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.seq;
        let index = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.entries.get_mut(index)
    }
}

/// The ledger of one sandbox.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Book>);

impl Ledger {
    /// Writes down that a request arrived; returns its number.
    pub(crate) fn open(&self, asked: Asked) -> u64 {
        let mut book = self.lock();
        if book.entries.len() == MAX_ENTRIES {
            book.entries.pop_front();
            book.counts.forgotten += 1;
        }
        book.last_seq += 1;
        book.counts.requests += 1;
        let seq = book.last_seq;
        let at_ms = now_ms();
        book.entries.push_back(Entry {
            seq,
            at_ms,
            asked,
            outcome: Outcome::Pending,
            status: None,
            repeat: false,
        });
        seq
    }

    /// Makes the enrolment, or notes that it is there already.
    pub(crate) fn enrol(&self, seq: u64, user: &str, course: &str, key: &str) {
        let mut book = self.lock();
        let pair = (user.to_owned(), course.to_owned());
        let Some(made_by) = book.enrolments.get(&pair) else {
            book.enrolments.insert(pair, key.to_owned());
            book.counts.enrolled += 1;
            return;
        };
        let is_new_key = made_by != key;
        book.counts.repeats += 1;
        book.counts.repeats_with_new_key += u64::from(is_new_key);
        if let Some(entry) = book.entry(seq) {
            entry.repeat = true;
        }
    }

    /// Writes down how a request ended.
    pub(crate) fn close(&self, seq: u64, outcome: Outcome, status: Option<u16>) {
        let mut book = self.lock();
        match status {
            Some(status) => *book.counts.by_status.entry(status).or_default() += 1,
            None => book.counts.unanswered += 1,
        }
        if let Some(entry) = book.entry(seq) {
            entry.outcome = outcome;
            entry.status = status;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// At most `limit` entries with a number above `after`.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Page {
        let book = self.lock();
        let entries: Vec<Entry> = book
            .entries
            .iter()
            .skip_while(|entry| entry.seq <= after)
            .take(limit)
            .cloned()
            .collect();
        let next = entries
            .last()
            .map(|entry| entry.seq)
            .filter(|last| *last < book.last_seq);
        Page {
            counts: book.counts.clone(),
            entries,
            next,
        }
    }

    pub(crate) fn enrolments(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = self.lock().enrolments.keys().cloned().collect();
        pairs.sort_unstable();
        pairs
    }

    /// Forgets all but the numbering, so that a request under way cannot be taken for a later one.
    pub(crate) fn clear(&self) {
        let mut book = self.lock();
        *book = Book {
            last_seq: book.last_seq,
            ..Book::default()
        };
    }

    /// A panic elsewhere cannot leave the book half-written in a way that matters to a test.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
