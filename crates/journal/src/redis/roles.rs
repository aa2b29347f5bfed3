//! What one node does at a time, and ticks.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::cmd;
use coordinator_message::Timestamp;

use super::append::fields;
use super::codec::Item;
use super::error::StoreError;
use super::link::{Lazy, Script};
use super::outbox;
use super::state::Shared;
use crate::Tick;

static LEAD: Lazy = LazyLock::new(|| Script::new("allow-oom", &[include_str!("lead.lua")]));
static RESIGN: Lazy = LazyLock::new(|| Script::new("allow-oom", &[include_str!("resign.lua")]));
static TICK: Lazy = LazyLock::new(|| Script::new("", &[include_str!("tick.lua")]));

/// See [`crate::Journal::lead`].
pub(super) async fn lead(
    shared: &Shared,
    role: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<u64>, StoreError> {
    check(shared)?;
    let now = shared.clock.now();
    let mut call = LEAD.with(&[shared.global.role(role)]);
    call.arg(holder)
        .arg(now.as_millis())
        .arg(now.after(ttl).as_millis());
    let fence: u64 = shared.hot.call(&LEAD, &call).await?;
    Ok((fence > 0).then_some(fence))
}

/// See [`crate::Journal::resign`].
pub(super) async fn resign(shared: &Shared, role: &str, holder: &str) -> Result<(), StoreError> {
    check(shared)?;
    let mut call = RESIGN.with(&[shared.global.role(role)]);
    call.arg(holder);
    shared.hot.call::<i64>(&RESIGN, &call).await?;
    Ok(())
}

/// See [`crate::Journal::last_tick`].
pub(super) async fn last(shared: &Shared, schedule: &str) -> Result<Option<Timestamp>, StoreError> {
    let mut get = cmd("HGET");
    get.arg(shared.global.ticks()).arg(schedule);
    let at: Option<i64> = shared.hot.run(&get).await?;
    Ok(at.map(Timestamp::from_millis))
}

/// See [`crate::Journal::tick`].
pub(super) async fn tick(shared: &Arc<Shared>, tick: Tick) -> Result<bool, StoreError> {
    check(shared)?;
    let now = shared.clock.now();
    let mut call = TICK.with(&[shared.global.ticks(), shared.global.outbox()]);
    call.arg(&tick.schedule).arg(tick.at.as_millis());
    if let Some(message) = tick.message {
        fields(&mut call, &Item::new(message, now));
    }
    let made: i64 = shared.hot.call(&TICK, &call).await?;
    if made == 1 && outbox::move_all(shared).await.is_err() {
        // It is in the outbox, which is moved again and again.
        shared.outbox.notify_one();
    }
    Ok(made == 1)
}

fn check(shared: &Shared) -> Result<(), StoreError> {
    if shared.is_closed() {
        return Err(StoreError::Closed);
    }
    Ok(())
}
