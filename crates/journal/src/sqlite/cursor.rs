//! Where one handler stands in the log. Pure: positions in, positions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order::Key;

/// How many positions a handler may have settled or handed out beyond its cursor.
pub(super) const WINDOW: usize = 4096;
/// So many settled beyond the cursor, and what holds it back gets an exception row.
const STRAGGLING: usize = WINDOW / 2;
/// So many wait behind their ordering keys, and they get exception rows: room for other keys.
const CROWDED: usize = WINDOW / 2;

/// A delivery that somebody is working on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handed {
    /// Which handing-out: settles with another number are stale.
    pub(super) fence: u64,
    /// Number of the attempt that is running.
    pub(super) attempt: u32,
    /// Attempts before that panicked, or ended with their process.
    pub(super) crashes: u32,
    /// Which replay.
    pub(super) replay: u32,
    /// The ordering key that it holds.
    pub(super) key: Option<Arc<Key>>,
}

/// Positions of one handler. What is settled above the cursor, and what is not, is kept apart:
/// whatever was looked at is in `done`, `fresh` or `held`, or settled.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    /// Every matching message at or below is settled or has an exception row.
    pub(super) upto: u64,
    /// Settled above `upto`, or with an exception row.
    pub(super) done: BTreeSet<u64>,
    /// How many of these were looked at; the others were settled before their turn came.
    passed: usize,
    /// Everything at or below was looked at by this process.
    pub(super) scanned: u64,
    /// Handed out straight from the log.
    pub(super) fresh: BTreeMap<u64, Handed>,
    /// Handed out from an exception row.
    pub(super) again: BTreeMap<u64, Handed>,
    /// Looked at and not handed out: they wait behind their ordering key, or their turn has just come.
    pub(super) held: BTreeMap<u64, Arc<Key>>,
    /// Those of `held` whose turn has come.
    pub(super) free: BTreeSet<u64>,
}

impl Cursor {
    /// As it is after a start: nothing handed out.
    pub(super) fn restored(upto: u64, done: &[u8]) -> Self {
        Self {
            upto,
            done: decode(upto, done),
            scanned: upto,
            ..Self::default()
        }
    }

    /// How many more may be looked at.
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.fresh.len() + self.held.len() + self.passed)
    }

    /// Everything up to here was looked at.
    pub(super) fn advance(&mut self, scanned: u64) {
        if scanned > self.scanned {
            self.passed += self.done.range(self.scanned + 1..=scanned).count();
            self.scanned = scanned;
        }
    }

    /// What is handed out at this position.
    pub(super) fn handed(&self, position: u64) -> Option<&Handed> {
        self.fresh
            .get(&position)
            .or_else(|| self.again.get(&position))
    }

    /// Was it settled, as far as the log order goes?
    pub(super) fn is_past(&self, position: u64) -> bool {
        let looked_at = position <= self.scanned;
        looked_at && !self.fresh.contains_key(&position) && !self.held.contains_key(&position)
            || self.done.contains(&position)
    }

    /// Is anything handed out?
    pub(super) fn hands_out(&self) -> bool {
        !self.fresh.is_empty() || !self.again.is_empty()
    }

    /// Was it settled, or has it a row? Of what a stored cursor says.
    pub(super) fn is_settled(&self, position: u64) -> bool {
        position <= self.upto || self.done.contains(&position)
    }

    /// Does it wait behind its ordering key, in memory only?
    pub(super) fn waits_behind(&self, position: u64) -> bool {
        self.held.contains_key(&position) && !self.free.contains(&position)
    }

    /// How many wait behind their ordering key, in memory only.
    pub(super) fn behind(&self) -> usize {
        self.held.len() - self.free.len()
    }

    /// The oldest that was looked at and is not settled, of what has no row.
    pub(super) fn oldest(&self) -> Option<u64> {
        let fresh = self.fresh.keys().next();
        fresh
            .into_iter()
            .chain(self.held.keys().next())
            .min()
            .copied()
    }

    /// Where the cursor stands once the positions in `settled` are, given that the log was read up to `read`.
    pub(super) fn after(&self, settled: &BTreeSet<u64>, read: u64) -> (u64, BTreeSet<u64>) {
        let fresh = self
            .fresh
            .keys()
            .find(|position| !settled.contains(position));
        let held = self
            .held
            .keys()
            .find(|position| !settled.contains(position));
        let oldest = fresh.into_iter().chain(held).min();
        let upto = oldest.map_or(read, |position| position - 1).max(self.upto);
        let mut done = self.done.clone();
        done.extend(settled.iter().filter(|position| !self.is_past(**position)));
        let done = match upto.checked_add(1) {
            Some(above) => done.split_off(&above),
            None => BTreeSet::new(),
        };
        (upto, done)
    }

    /// Do so many wait behind their keys that they are to become rows?
    pub(super) fn crowded(&self) -> bool {
        self.held.len() >= CROWDED
    }

    /// Is there no room, for what keeps it can only become rows or be passed over? What was discarded before its turn
    /// fills the window without anybody settling anything.
    pub(super) fn is_stuffed(&self) -> bool {
        self.crowded() || self.room() == 0 && self.passed >= STRAGGLING
    }

    /// Positions that keep the window full, to become rows: all up to the last one held, if these are many; the older
    /// half of what is unsettled, when too much is settled beyond it. In both cases nothing older stays behind, so
    /// that of one ordering key rows are older than what has none.
    pub(super) fn stragglers(&self, settled: &BTreeSet<u64>) -> Vec<u64> {
        let middle = if self.crowded() {
            self.held.keys().next_back().map(|last| last + 1)
        } else if self.passed + settled.len() < STRAGGLING {
            None
        } else {
            self.done.iter().nth(self.passed / 2).copied()
        };
        let Some(middle) = middle else {
            return Vec::new();
        };
        let fresh = self.fresh.range(..middle).map(|(position, _)| *position);
        let held = self.held.range(..middle).map(|(position, _)| *position);
        let mut stragglers: Vec<u64> = fresh
            .chain(held)
            .filter(|position| !settled.contains(position))
            .collect();
        stragglers.sort_unstable();
        stragglers
    }

    /// Moves the cursor, and forgets what was handed out or held of `settled`.
    pub(super) fn settle(&mut self, settled: &BTreeSet<u64>, read: u64) {
        (self.upto, self.done) = self.after(settled, read);
        self.scanned = self.scanned.max(self.upto);
        self.passed = self.done.range(..=self.scanned).count();
        for position in settled {
            self.fresh.remove(position);
            self.held.remove(position);
            self.free.remove(position);
        }
    }
}

/// `done` as LEB128 steps from `upto`: one byte each while the window is dense.
pub(super) fn encode(upto: u64, done: &BTreeSet<u64>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(done.len());
    let mut last = upto;
    for position in done {
        let mut step = position - last;
        last = *position;
        while step > 0x7f {
            bytes.push(u8::try_from(step & 0x7f).expect("seven bits fit") | 0x80);
            step >>= 7;
        }
        bytes.push(u8::try_from(step).expect("seven bits fit"));
    }
    bytes
}

/// What [`encode`] wrote.
fn decode(upto: u64, bytes: &[u8]) -> BTreeSet<u64> {
    let mut done = BTreeSet::new();
    let (mut last, mut step, mut shift) = (upto, 0_u64, 0_u32);
    for byte in bytes {
        step |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            last = last.saturating_add(step);
            done.insert(last);
            (step, shift) = (0, 0);
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(fence: u64) -> Handed {
        Handed {
            fence,
            attempt: 1,
            crashes: 0,
            replay: 0,
            key: None,
        }
    }

    fn working_on(positions: &[u64]) -> Cursor {
        let fresh = positions
            .iter()
            .map(|position| (*position, handed(*position)))
            .collect();
        Cursor {
            scanned: *positions.last().unwrap(),
            fresh,
            ..Cursor::default()
        }
    }

    #[test]
    fn a_cursor_waits_for_the_oldest_and_then_jumps() {
        let mut cursor = working_on(&[3, 5, 9]);
        cursor.settle(&[5].into(), 9);
        assert_eq!((cursor.upto, &cursor.done), (2, &[5].into()));
        cursor.settle(&[3].into(), 9);
        assert_eq!((cursor.upto, &cursor.done), (8, &[].into()));
        cursor.settle(&[9].into(), 12);
        assert_eq!(cursor.upto, 12);
    }

    #[test]
    fn the_sparse_set_survives_storage() {
        let done: BTreeSet<u64> = [8, 9, 200, 70_000, 5_000_000_000].into();
        assert_eq!(decode(7, &encode(7, &done)), done);
        assert!(decode(7, &[]).is_empty());
    }

    #[test]
    fn what_holds_a_full_window_back_is_named() {
        let all: Vec<u64> = (1..=3000).collect();
        let mut cursor = working_on(&all);
        let settled: BTreeSet<u64> = (2..=2999).collect();
        cursor.settle(&settled, 3000);
        assert_eq!(cursor.stragglers(&BTreeSet::new()), [1]);
        assert_eq!(cursor.room(), WINDOW - 2998 - 2);
    }
    #[test]
    fn what_was_settled_before_its_turn_takes_no_room() {
        let mut cursor = working_on(&[1, 2]);
        let early: BTreeSet<u64> = (10..10 + WINDOW as u64).collect();
        cursor.settle(&early, 2);
        assert_eq!((cursor.upto, cursor.room()), (0, WINDOW - 2));
        cursor.advance(20);
        assert_eq!(cursor.room(), WINDOW - 2 - 11);
        cursor.settle(&[1, 2].into(), 20);
        assert_eq!((cursor.upto, cursor.room()), (20, WINDOW));
        assert!(cursor.done.contains(&21));
    }

    #[test]
    fn many_that_wait_behind_their_key_become_rows_with_all_that_is_older() {
        let mut cursor = working_on(&[1, 5, 9000]);
        let key = Key::new("orders", "o-1");
        for position in 10..10 + CROWDED as u64 {
            cursor.held.insert(position, key.clone());
        }
        let stragglers = cursor.stragglers(&[5].into());
        assert_eq!((stragglers[0], stragglers[1]), (1, 10));
        assert_eq!(stragglers.len(), CROWDED + 1);
    }
}
