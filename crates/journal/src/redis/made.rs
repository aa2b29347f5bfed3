//! How the journal was made: what its nodes have to agree on, now and later.

use std::sync::LazyLock;

use super::error::{OpenError, StoreError};
use super::link::{Lazy, Script};
use super::state::Shared;

/// Of what lies under the keys; see [`keys`](super::keys). It changes when an earlier build could not read it, or when this
/// one cannot read what an earlier one wrote.
const LAYOUT: u32 = 2;

static MADE: Lazy = LazyLock::new(|| Script::new("allow-oom", &[include_str!("made.lua")]));

/// Writes down how this journal is made, if it is new, and refuses one that is made otherwise.
pub(super) async fn check(shared: &Shared) -> Result<(), OpenError> {
    let (layout, partitions) = found(shared).await.map_err(OpenError::from_store)?;
    if layout != LAYOUT {
        return Err(OpenError::Otherwise {
            what: format!("layout {layout}, and this version reads layout {LAYOUT}"),
            hint: "let the version that made it deliver what is in it, or take another \
                   `journal.redis.prefix` for this one"
                .to_owned(),
        });
    }
    if partitions != shared.partitions {
        return Err(OpenError::Otherwise {
            what: format!(
                "{partitions} partitions, and this host is to use {}",
                shared.partitions
            ),
            hint: format!(
                "set `journal.redis.partitions = {partitions}`, as on the other hosts: messages in other partitions \
                 would not be read"
            ),
        });
    }
    Ok(())
}

/// Layout and partitions.
async fn found(shared: &Shared) -> Result<(u32, u32), StoreError> {
    let keys = [shared.global.made(), shared.global.shards()];
    let mut call = MADE.with(&keys);
    call.arg(LAYOUT).arg(shared.partitions);
    shared.hot.call(&MADE, &call).await
}
