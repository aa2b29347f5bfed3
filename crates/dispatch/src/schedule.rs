//! Publishes by the clock: one host leads, and each tick is published once, whoever leads.
//!
//! In: schedules, the journal, the clock. Out: messages in the journal, each in one write with the time of its tick.
//! If the process dies: before that write the tick is still due, after it it is done; there is nothing between.
//! Not here: when a schedule ticks (see [`Cadence`]), and who handles what it publishes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::call::PublishItem;
use coordinator_config::Missed;
use coordinator_context::{Origin, Publisher};
use coordinator_journal::{Clock, JournalError, NewMessage, Tick};
use coordinator_message::{MessageId, MessageType, Timestamp, TraceParent};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::cadence::{Cadence, Ticks};

/// The role in the journal.
const ROLE: &str = "schedules";
/// For so long a host that died keeps the others from taking over.
const LEAD_FOR: Duration = Duration::from_secs(30);
/// How often the leader says that it is there, and the others ask whether it is.
const LEAD_AGAIN: Duration = Duration::from_secs(10);
/// A tick that is later than this was missed.
const ON_TIME: Duration = Duration::from_secs(60);
/// So many missed ticks are made up for at most.
const MAX_MADE_UP: usize = 1_000;

/// One schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name: the subject of what it publishes.
    pub name: String,
    /// When it ticks.
    pub cadence: Cadence,
    /// What it publishes.
    pub ty: MessageType,
    /// The payload, JSON.
    pub data: Bytes,
    /// What becomes of ticks that nobody was there for.
    pub missed: Missed,
}

/// Runs schedules until it is stopped or dropped.
pub struct Ticker {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// What the running ticker has.
struct Works {
    schedules: Vec<Schedule>,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    node: String,
}

/// What is to be done about one schedule now.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// To publish, oldest first.
    publish: Vec<Timestamp>,
    /// Done with, up to here, before that.
    pass_over: Option<Timestamp>,
    /// Were ticks missed that are not made up for?
    gave_up: bool,
}

impl Ticker {
    /// Begins to tick, on the runtime that it is called in. `node` is this process and no other.
    #[must_use]
    pub fn start(
        schedules: Vec<Schedule>,
        publisher: Publisher,
        clock: Arc<dyn Clock>,
        node: String,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let works = Works {
            schedules,
            publisher,
            clock,
            node,
        };
        Self {
            stop,
            running: tokio::spawn(works.run(stopped)),
        }
    }

    /// Ends it: a tick that is being written is finished, and another host may lead at once.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // It does not panic; if it did, the log has it.
        let _ = (&mut self.running).await;
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Works {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        if self.schedules.is_empty() {
            return;
        }
        let mut leads = false;
        loop {
            let next = self.round(&mut leads).await;
            tokio::select! {
                biased;
                // It fails when the ticker is gone, which means the same.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.clock.sleep_until(next) => {}
            }
        }
        // If it fails, the others wait a little longer.
        let _ = self.publisher.journal().resign(ROLE, &self.node).await;
    }

    /// Does what is due; answers when to look again.
    async fn round(&self, leads: &mut bool) -> Timestamp {
        let now = self.clock.now();
        let again = now.after(LEAD_AGAIN);
        let lead = self.publisher.journal().lead(ROLE, &self.node, LEAD_FOR);
        match lead.await {
            Ok(Some(_)) => {
                if !std::mem::replace(leads, true) {
                    info!(
                        schedules = self.schedules.len(),
                        "this host runs the schedules"
                    );
                }
            }
            Ok(None) => {
                *leads = false;
                return again;
            }
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "schedules wait: the journal does not say who leads, asked again in {LEAD_AGAIN:?}"
                );
                return again;
            }
        }
        let mut next = again;
        for schedule in &self.schedules {
            match self.advance(schedule, now).await {
                Ok(Some(tick)) => next = next.min(tick),
                Ok(None) => {}
                Err(error) => warn!(
                    schedule.name = schedule.name,
                    error = &error as &dyn std::error::Error,
                    "schedule `{}` waits: the journal cannot be used, tried again in {LEAD_AGAIN:?}",
                    schedule.name
                ),
            }
        }
        next
    }

    /// Does what is due of one schedule; answers its next tick.
    async fn advance(
        &self,
        schedule: &Schedule,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, JournalError> {
        let next = schedule.cadence.next_after(now);
        let Some(last) = self.publisher.journal().last_tick(&schedule.name).await? else {
            // A new one begins now: what it would have ticked before is no business of it.
            self.pass_over(schedule, now).await?;
            return Ok(next);
        };
        let plan = plan(&schedule.cadence, last, now, schedule.missed);
        if plan.gave_up {
            warn!(
                schedule.name = schedule.name,
                last_tick = %last,
                missed = schedule.missed.as_str(),
                "schedule `{}` missed ticks after {last} that are not made up for",
                schedule.name
            );
        }
        if let Some(at) = plan.pass_over {
            self.pass_over(schedule, at).await?;
        }
        for at in plan.publish {
            self.publish(schedule, at).await?;
        }
        Ok(next)
    }

    async fn pass_over(&self, schedule: &Schedule, at: Timestamp) -> Result<(), JournalError> {
        let tick = Tick {
            schedule: schedule.name.clone(),
            at,
            message: None,
        };
        self.publisher.journal().tick(tick).await.map(drop)
    }

    async fn publish(&self, schedule: &Schedule, at: Timestamp) -> Result<(), JournalError> {
        let name = &schedule.name;
        let message = match self.message(schedule, at) {
            Ok(message) => message,
            // Checked before the start; but a tick that cannot be published must not be tried for ever unseen.
            Err(refused) => {
                error!(
                    schedule.name = name,
                    error = &refused as &dyn std::error::Error,
                    "schedule `{name}` cannot publish what it should"
                );
                return Ok(());
            }
        };
        let id = message.envelope.id;
        if self.publisher.tick(name, at, message).await? {
            info!(
                schedule.name = name,
                cloudevents.event_id = %id,
                tick = %at,
                "schedule `{name}` published `{id}`"
            );
        }
        Ok(())
    }

    fn message(
        &self,
        schedule: &Schedule,
        at: Timestamp,
    ) -> Result<NewMessage, coordinator_context::Refused> {
        let item = PublishItem {
            ty: schedule.ty.to_string(),
            subject: Some(schedule.name.clone()),
            ..PublishItem::default()
        };
        let origin = Origin {
            publisher: format!("schedule/{}", schedule.name),
            source: format!("/schedules/{}", schedule.name),
            trace: Some(TraceParent::start()),
        };
        let id = MessageId::new(self.clock.now());
        self.publisher
            .prepare(item, schedule.data.clone(), &origin, id, at)
    }
}

/// What to do about the ticks after `last` up to `now`.
fn plan(cadence: &Cadence, last: Timestamp, now: Timestamp, missed: Missed) -> Plan {
    let Ticks { at: mut due, more } = cadence.ticks(last, now, MAX_MADE_UP);
    let bound = now.before(ON_TIME);
    let late = |tick: &Timestamp| *tick < bound;
    let was_away = due.first().is_some_and(late);
    let mut pass_over = None;
    let mut gave_up = more;
    if was_away && missed != Missed::All {
        let keep_from = match missed {
            Missed::None => due.partition_point(late),
            _ => due.len() - 1,
        };
        pass_over = keep_from.checked_sub(1).map(|newest| due[newest]);
        gave_up |= missed == Missed::None && pass_over.is_some();
        due.drain(..keep_from);
        // Made up for by one of them, as it was asked for.
        gave_up &= missed != Missed::One;
    }
    Plan {
        publish: due,
        pass_over,
        gave_up,
    }
}

#[cfg(test)]
mod tests;
