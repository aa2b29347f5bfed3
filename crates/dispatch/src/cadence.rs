//! When a schedule ticks: cron in a time zone. Pure.
//!
//! In: a cron expression, the name of a zone, a time. Out: the first tick after it.
//! An hour that the clock skips is made up for right after it, one that it repeats counts once, as cron has it: that is
//! for expressions that name their hours. One that ticks every few minutes goes on ticking in both.

use std::fmt;
use std::str::FromStr as _;

use coordinator_message::Timestamp;
use croner::Cron;
use croner::errors::CronError;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Longer than any expression that says something.
const MAX_LENGTH: usize = 256;

/// When a schedule ticks.
#[derive(Clone)]
pub struct Cadence {
    cron: Cron,
    text: String,
    zone: TimeZone,
    zone_name: String,
    /// Does it name its hours and minutes? Then each of them ticks once a day, whatever the clock does.
    by_the_wall: bool,
}

/// There is no such cadence.
#[derive(Debug, thiserror::Error)]
pub enum CadenceError {
    /// The expression is not one of cron's.
    #[error(
        "not a cron expression\n  (minute, hour, day of the month, month, day of the week, such as \"0 3 * * *\")"
    )]
    Cron(#[source] CronError),
    /// The zone is not in the database of time zones.
    #[error("no time zone is called so\n  (a name such as \"UTC\" or \"Europe/Berlin\")")]
    Zone(#[source] jiff::Error),
    /// The expression is well-formed, and no day fits it.
    #[error("no day will ever fit it")]
    Never,
}

impl Cadence {
    /// The cadence of a cron expression (five fields, or six with seconds before them) in a zone.
    ///
    /// # Errors
    ///
    /// If the expression cannot be read or never ticks after `now`, or the zone is not known.
    pub fn new(cron: &str, zone: &str, now: Timestamp) -> Result<Self, CadenceError> {
        let parsed = if cron.len() > MAX_LENGTH {
            Err(CronError::InvalidPattern("it is too long".to_owned()))
        } else {
            Cron::from_str(cron)
        };
        let cadence = Self {
            cron: parsed.map_err(CadenceError::Cron)?,
            text: cron.to_owned(),
            zone: TimeZone::get(zone).map_err(CadenceError::Zone)?,
            zone_name: zone.to_owned(),
            by_the_wall: names_its_hours(cron),
        };
        match cadence.next_after(now) {
            Some(_) => Ok(cadence),
            None => Err(CadenceError::Never),
        }
    }

    /// The first tick after `time`; `None` if there is none any more.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        // Ticks are whole seconds, and so is what the search begins after.
        let seconds = time.as_millis().div_euclid(1000);
        let from = jiff::Timestamp::from_second(seconds).ok()?;
        let next = if self.by_the_wall {
            self.next_on_the_wall(from)?
        } else {
            let from = from.to_zoned(self.zone.clone());
            let next = self.cron.find_next_occurrence(&from, false).ok()?;
            next.timestamp()
        };
        let next = Timestamp::from_millis(next.as_millisecond());
        (next > time).then_some(next)
    }

    /// The next tick as the clock on the wall has it: a time that it skips is the moment right after, one that it
    /// repeats is the first of the two. `croner` does so for a single time only, not for a list of them.
    fn next_on_the_wall(&self, from: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut wall = self.zone.to_datetime(from);
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let ambiguous = self.zone.to_ambiguous_timestamp(wall);
            let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            let first = ambiguous.earlier().ok()?;
            let at = if skipped {
                self.zone.following(first).next()?.timestamp()
            } else {
                first
            };
            // In the second pass of a repeated hour the wall shows times whose moment has passed.
            if at > from {
                return Some(at);
            }
        }
    }

    /// The newest `keep` ticks after `from` up to and including `until`, oldest first, and whether there are older
    /// ones.
    #[must_use]
    pub fn ticks(&self, from: Timestamp, until: Timestamp, keep: usize) -> Ticks {
        // From the end, in windows that double: a year of ticks by the second is not walked through for the last one.
        let mut window = std::time::Duration::from_secs(60);
        loop {
            let begin = until.before(window).max(from);
            let mut at: Vec<_> = self.between(begin, until).collect();
            if begin == from || at.len() >= keep {
                let older = at.len().saturating_sub(keep);
                let more = older > 0 || self.between(from, begin).next().is_some();
                at.drain(..older);
                return Ticks { at, more };
            }
            window = window.saturating_mul(2);
        }
    }

    fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(from), |last| self.next_after(*last))
            .take_while(move |tick| *tick <= until)
    }

    /// The expression, as it was written.
    #[must_use]
    pub fn cron(&self) -> &str {
        &self.text
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }
}

/// Neither the hour nor the minute begins with `*`. Nicknames such as `@daily` are left to `croner`, which has it right.
fn names_its_hours(cron: &str) -> bool {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let (minute, hour) = match fields[..] {
        [minute, hour, _, _, _] => (minute, hour),
        [_, minute, hour, ..] => (minute, hour),
        _ => return false,
    };
    let named = |field: &str| !field.split(',').any(|part| part.starts_with(['*', '?']));
    named(minute) && named(hour)
}

/// Ticks of a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticks {
    /// Oldest first.
    pub at: Vec<Timestamp>,
    /// Are there older ones?
    pub more: bool,
}

impl fmt::Debug for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.zone_name)
    }
}
