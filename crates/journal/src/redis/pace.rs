//! How fast a handler takes what is read for it.
//!
//! A handler that is faster than the way to the server would wait for each page. It gets the next one, or the next two,
//! read before it asks: less than a second of its work. A slow handler leaves what it has not asked for to other nodes.

use std::time::{Duration, Instant};

/// A handler is in a hurry if it takes so many in this time.
const MANY: usize = 32;
/// And in a great hurry if it takes so many.
const VERY_MANY: usize = 128;
const WINDOW: Duration = Duration::from_millis(50);

/// How much was taken lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    begun: Option<Instant>,
    taken: usize,
    /// How much was taken in the window before this one.
    before: usize,
}

// === impl Pace ===

impl Pace {
    /// Some were taken: how many pages are to be read ahead?
    pub(super) fn ahead(&mut self, taken: usize) -> usize {
        let age = self.begun.map(|begun| begun.elapsed());
        if age.is_none_or(|age| age > WINDOW) {
            let recent = age.is_some_and(|age| age < 2 * WINDOW);
            self.before = if recent { self.taken } else { 0 };
            self.begun = Some(Instant::now());
            self.taken = 0;
        }
        // What comes first may be a whole page for a handler that is slow with each of it.
        let many = self.before.max(self.taken);
        self.taken += taken;
        match many {
            VERY_MANY.. => 2,
            MANY.. => 1,
            _ => 0,
        }
    }
}
