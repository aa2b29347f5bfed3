//! How fast a handler takes what is read for it.
//!
//! A handler that is faster than the way to the server would wait for each page. It gets the next one read before it
//! asks: less than a second of its work. A slow handler leaves what it has not asked for to other nodes.

use std::time::{Duration, Instant};

/// A handler is in a hurry if it takes so many in this time.
const MANY: usize = 32;
const WINDOW: Duration = Duration::from_millis(50);

/// How much was taken lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    begun: Option<Instant>,
    taken: usize,
    /// In the window before this one.
    hurried: bool,
}

// === impl Pace ===

impl Pace {
    /// Some were taken: is the handler in a hurry?
    pub(super) fn hurries(&mut self, taken: usize) -> bool {
        let age = self.begun.map(|begun| begun.elapsed());
        if age.is_none_or(|age| age > WINDOW) {
            self.hurried = self.taken >= MANY && age.is_some_and(|age| age < 2 * WINDOW);
            self.begun = Some(Instant::now());
            self.taken = 0;
        }
        // What comes first may be a whole page for a handler that is slow with each of it.
        let before = self.taken;
        self.taken += taken;
        self.hurried || before >= MANY
    }
}
