//! Where one handler stands in the log. Pure: positions in, positions out.

use std::collections::{BTreeMap, BTreeSet};

/// How many positions a handler may have settled or handed out beyond its cursor.
pub(super) const WINDOW: usize = 4096;
/// So many settled beyond the cursor, and what holds it back gets an exception row.
const STRAGGLING: usize = WINDOW / 2;

/// A delivery that somebody is working on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handed {
    /// Which handing-out: settles with another number are stale.
    pub(super) fence: u64,
    /// Number of the attempt that is running.
    pub(super) attempt: u32,
    /// Attempts before that panicked.
    pub(super) crashes: u32,
    /// Which replay.
    pub(super) replay: u32,
}

/// Positions of one handler.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    /// Every matching message at or below is settled or has an exception row.
    pub(super) upto: u64,
    /// Settled above `upto`.
    pub(super) done: BTreeSet<u64>,
    /// Everything at or below was looked at by this process.
    pub(super) scanned: u64,
    /// Handed out straight from the log.
    pub(super) fresh: BTreeMap<u64, Handed>,
    /// Handed out from an exception row.
    pub(super) again: BTreeMap<u64, Handed>,
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

    /// How many more may be handed out from the log.
    pub(super) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.fresh.len() + self.done.len())
    }

    /// What is handed out at this position.
    pub(super) fn handed(&self, position: u64) -> Option<&Handed> {
        self.fresh
            .get(&position)
            .or_else(|| self.again.get(&position))
    }

    /// Was it settled, as far as the log order goes?
    pub(super) fn is_past(&self, position: u64) -> bool {
        position <= self.scanned && !self.fresh.contains_key(&position)
            || self.done.contains(&position)
    }

    /// Where the cursor stands once the positions in `settled` are, given that the log was read up to `read`.
    pub(super) fn after(&self, settled: &BTreeSet<u64>, read: u64) -> (u64, BTreeSet<u64>) {
        let oldest = self
            .fresh
            .keys()
            .find(|position| !settled.contains(position));
        let upto = oldest.map_or(read, |position| position - 1).max(self.upto);
        let fresh = settled
            .iter()
            .filter(|position| self.fresh.contains_key(position));
        let done = self
            .done
            .iter()
            .chain(fresh)
            .copied()
            .filter(|position| *position > upto)
            .collect();
        (upto, done)
    }

    /// Positions that keep the window full: the older half of what is handed out, when too much is settled beyond it.
    pub(super) fn stragglers(&self, settled: &BTreeSet<u64>) -> Vec<u64> {
        if self.done.len() + settled.len() < STRAGGLING {
            return Vec::new();
        }
        let Some(middle) = self.done.iter().nth(self.done.len() / 2) else {
            return Vec::new();
        };
        let held = self.fresh.range(..middle).map(|(position, _)| *position);
        held.filter(|position| !settled.contains(position))
            .collect()
    }

    /// Moves the cursor, and forgets what was handed out of `settled`.
    pub(super) fn settle(&mut self, settled: &BTreeSet<u64>, read: u64) {
        (self.upto, self.done) = self.after(settled, read);
        self.scanned = self.scanned.max(self.upto);
        for position in settled {
            self.fresh.remove(position);
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
}
