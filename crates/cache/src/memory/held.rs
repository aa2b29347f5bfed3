//! Locks, and who came first. They never make room for others: a lock that was evicted would be held twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::CacheError;

/// Held at once at most, some 20 MB.
const MOST: usize = 100_000;
/// Fewer are not worth looking through for what is over.
const FEW: usize = 1024;

/// What is held, by key.
#[derive(Default)]
pub(super) struct Held(Mutex<Holders>);

#[derive(Default)]
struct Holders {
    by_key: HashMap<String, Holder>,
    /// So many may be held before what is over is taken out.
    sweep_at: usize,
}

struct Holder {
    token: String,
    until: Instant,
}

impl Held {
    pub(super) fn hold(
        &self,
        key: String,
        token: String,
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let now = Instant::now();
        let mut holders = self.holders();
        if holders.of(&key, now).is_some() {
            return Ok(false);
        }
        holders.make_room(now)?;
        let until = now + ttl;
        holders.by_key.insert(key, Holder { token, until });
        Ok(true)
    }

    pub(super) fn extend(&self, key: &str, token: &str, ttl: Duration) -> bool {
        let now = Instant::now();
        let mut holders = self.holders();
        match holders.of(key, now).filter(|held| held.token == token) {
            Some(held) => {
                held.until = now + ttl;
                true
            }
            None => false,
        }
    }

    pub(super) fn release(&self, key: &str, token: &str) -> bool {
        let mut holders = self.holders();
        let held = holders.of(key, Instant::now());
        let is_own = held.is_some_and(|held| held.token == token);
        if is_own {
            holders.by_key.remove(key);
        }
        is_own
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holders {
    fn of(&mut self, key: &str, now: Instant) -> Option<&mut Holder> {
        self.by_key.get_mut(key).filter(|held| held.until > now)
    }

    /// Takes out what is over, each time that twice as much is there as last time: on average that costs nothing.
    fn make_room(&mut self, now: Instant) -> Result<(), CacheError> {
        if self.by_key.len() < self.sweep_at.clamp(FEW, MOST) {
            return Ok(());
        }
        self.by_key.retain(|_, held| held.until > now);
        self.sweep_at = self.by_key.len() * 2;
        if self.by_key.len() < MOST {
            Ok(())
        } else {
            Err(CacheError::Full(MOST))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn no_more_are_held_than_may_be_and_none_is_dropped_for_another() {
        let held = Held::default();
        for number in 0..MOST {
            assert!(held.hold(number.to_string(), "a".into(), LONG).unwrap());
        }
        let one_more = held.hold("one more".into(), "a".into(), LONG);
        assert!(matches!(one_more, Err(CacheError::Full(MOST))));
        assert!(!held.hold("0".into(), "b".into(), LONG).unwrap());
        assert!(held.release("0", "a"));
        assert!(held.hold("one more".into(), "a".into(), LONG).unwrap());
    }

    #[test]
    fn what_is_over_makes_room() {
        let held = Held::default();
        for number in 0..MOST {
            let over = Duration::from_nanos(1);
            assert!(held.hold(number.to_string(), "a".into(), over).unwrap());
        }
        assert!(held.hold("one more".into(), "a".into(), LONG).unwrap());
        assert!(held.holders().by_key.len() < MOST);
    }
}
