//! What only one node may do, and once: leadership, and the ticks of schedules.

use coordinator_message::Timestamp;

use crate::NewMessage;

/// One tick of a schedule.
#[derive(Debug, Clone)]
pub struct Tick {
    /// Name of the schedule.
    pub schedule: String,
    /// The time that it was due: each tick must be later than the one before.
    pub at: Timestamp,
    /// What it publishes. `None` only marks the time: a new schedule starts like that.
    pub message: Option<NewMessage>,
}
