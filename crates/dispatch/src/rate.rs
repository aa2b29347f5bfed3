//! How many attempts of one handler may begin within a time. Pure; time comes in.
//!
//! Exact, not a bucket that refills: in no stretch of that time do more begin than agreed, a quiet hour before it
//! earns nothing. So the times of the last starts are kept, which `Rate::MOST` bounds.

use std::collections::VecDeque;
use std::time::Instant;

use coordinator_context::Rate;

/// The starts of one handler.
#[derive(Debug)]
pub(crate) struct RateLimit {
    rate: Rate,
    starts: VecDeque<Instant>,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            starts: VecDeque::new(),
        }
    }

    /// Another rate, for what begins from now on.
    pub(crate) fn follow(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// When the next attempt may begin; `None` is now.
    pub(crate) fn free_at(&mut self, now: Instant) -> Option<Instant> {
        while let Some(first) = self.starts.front() {
            let over = *first + self.rate.per;
            if over > now {
                let count = usize::try_from(self.rate.count).unwrap_or(usize::MAX);
                return (self.starts.len() >= count).then_some(over);
            }
            self.starts.pop_front();
        }
        None
    }

    /// An attempt begins.
    pub(crate) fn begun(&mut self, now: Instant) {
        self.starts.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limit(count: u32) -> RateLimit {
        let per = Duration::from_secs(1);
        RateLimit::new(Rate { count, per })
    }

    #[test]
    fn a_rate_is_used_up_and_comes_back_with_time() {
        let (mut limit, now) = (limit(2), Instant::now());
        let at = |millis| now + Duration::from_millis(millis);
        for millis in [0, 400] {
            assert_eq!(limit.free_at(at(millis)), None);
            limit.begun(at(millis));
        }
        assert_eq!(limit.free_at(at(500)), Some(at(1_000)));
        assert_eq!(limit.free_at(at(1_000)), None);
        limit.begun(at(1_000));
        assert_eq!(limit.free_at(at(1_000)), Some(at(1_400)));
        assert_eq!(limit.free_at(at(9_000)), None);
    }

    proptest! {
        #[test]
        fn no_second_has_more_starts_than_agreed(count in 1_u32..20, gaps in prop::collection::vec(0_u64..400, 1..200)) {
            let (mut limit, begin) = (limit(count), Instant::now());
            let (mut now, mut starts) = (begin, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                now = limit.free_at(now).unwrap_or(now);
                limit.begun(now);
                starts.push(now);
            }
            let count = usize::try_from(count).unwrap();
            for pair in starts.windows(count + 1) {
                prop_assert!(pair[count] - pair[0] >= Duration::from_secs(1));
            }
        }
    }
}
