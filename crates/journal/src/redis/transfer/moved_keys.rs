//! Idempotency keys that came from another journal. Which shard such a key belongs to cannot be told from it, so they
//! stand in one hash, which publishers look at while there is one. It is never added to while a journal accepts.

use std::sync::atomic::Ordering;

use ::redis::cmd;
use coordinator_message::{MessageId, Timestamp};

use crate::KeyRecord;
use crate::digest::Digest;
use crate::redis::append::Answer;
use crate::redis::codec::Item;
use crate::redis::error::StoreError;
use crate::redis::state::Shared;

/// Adds one; one that is there already stays.
pub(super) async fn add(shared: &Shared, key: &KeyRecord) -> Result<(), StoreError> {
    let value = write(key.at, key.id, &key.digest);
    let mut add = cmd("HSETNX");
    add.arg(shared.global.moved_keys())
        .arg(&key.scope)
        .arg(value);
    shared.moved_keys.store(true, Ordering::Relaxed);
    shared.look.run(&add).await
}

/// Finds out whether there are any.
pub(in crate::redis) async fn look(shared: &Shared) -> Result<(), StoreError> {
    let exists = cmd("EXISTS").arg(shared.global.moved_keys()).to_owned();
    let any: bool = shared.look.run(&exists).await?;
    shared.moved_keys.store(any, Ordering::Relaxed);
    Ok(())
}

/// For each message, what an earlier one under its key makes of it.
pub(in crate::redis) async fn known(
    shared: &Shared,
    items: &[Item],
    now: Timestamp,
) -> Result<Vec<Option<Answer>>, StoreError> {
    let mut get = cmd("HMGET");
    get.arg(shared.global.moved_keys());
    for item in items {
        let scope = item.idempotency.as_ref().map(|(scope, _)| &scope[..]);
        get.arg(scope.unwrap_or_default());
    }
    let found: Vec<Option<Vec<u8>>> = shared.hot.run(&get).await?;
    let horizon = now.before(shared.limits.retention);
    let answer = |(item, value): (&Item, Option<Vec<u8>>)| {
        let (at, id, digest) = read(&value?)?;
        let (_, own) = item.idempotency.as_ref()?;
        if at <= horizon {
            return None;
        }
        Some(if digest == *own {
            Answer::Duplicate(id)
        } else {
            Answer::Conflict(id)
        })
    };
    Ok(items.iter().zip(found).map(answer).collect())
}

/// Forgets those that are too old.
pub(in crate::redis) async fn expire(
    shared: &Shared,
    horizon: Timestamp,
) -> Result<(), StoreError> {
    let mut from = "0".to_owned();
    loop {
        let (next, found) = page(shared, &from).await?;
        let old = found.iter().filter(|key| key.at <= horizon);
        let mut remove = cmd("HDEL");
        remove.arg(shared.global.moved_keys());
        let mut any = false;
        for key in old {
            remove.arg(&key.scope);
            any = true;
        }
        if any {
            shared.look.run::<()>(&remove).await?;
        }
        if next == "0" {
            return Ok(());
        }
        from = next;
    }
}

/// Some of them, and where to go on; `0` at the end.
pub(super) async fn page(
    shared: &Shared,
    from: &str,
) -> Result<(String, Vec<KeyRecord>), StoreError> {
    scan(shared, &shared.global.moved_keys(), from).await
}

/// Some idempotency keys of a hash, and where to go on; `0` at the end.
pub(super) async fn scan(
    shared: &Shared,
    hash: &str,
    from: &str,
) -> Result<(String, Vec<KeyRecord>), StoreError> {
    let mut scan = cmd("HSCAN");
    scan.arg(hash).arg(from).arg("COUNT").arg(100);
    let (next, rows): (String, Vec<Vec<u8>>) = shared.look.run(&scan).await?;
    let keys = rows.chunks_exact(2).filter_map(|pair| {
        let (at, id, digest) = read(&pair[1])?;
        Some(KeyRecord {
            scope: pair[0].clone(),
            id,
            digest: digest.to_vec(),
            at,
        })
    });
    Ok((next, keys.collect()))
}

/// As in `T:k:<day>`: time (13 digits), message id, payload digest.
fn write(at: Timestamp, id: MessageId, digest: &[u8]) -> Vec<u8> {
    [
        format!("{:013}", at.as_millis().max(0)).as_bytes(),
        id.as_bytes(),
        digest,
    ]
    .concat()
}

fn read(value: &[u8]) -> Option<(Timestamp, MessageId, Digest)> {
    let (at, rest) = value.split_at_checked(13)?;
    let (id, digest) = rest.split_at_checked(16)?;
    let at = std::str::from_utf8(at).ok()?.parse().ok()?;
    let id = MessageId::from_bytes(id.try_into().ok()?);
    Some((Timestamp::from_millis(at), id, digest.try_into().ok()?))
}
