//! Names of the keys, and how positions are written.
//!
//! A *shard* is one lane and one partition of it. All its keys share the tag `T = {prefix/lane/partition}`, so that
//! they are in one slot of a cluster, and one script may change them together. What belongs to no shard has the tag
//! `G = {prefix}`. No script and no command touches two tags.
//!
//! A *pid* is an entry id of the log as `ms-seq` with zeros before both (13 and 7 digits), so that text sorts as the
//! log does. `h` is a handler id, `digest` the 16 bytes of an ordering key's digest.
//!
//! | key | type | what |
//! |---|---|---|
//! | `G:made` | HASH | `layout`, `partitions`: as the first node had them |
//! | `G:shards` | SET | `lane\0partition` of every shard that was ever written or read |
//! | `G:handlers` | HASH | `h` → JSON of [`super::registry::Registered`] |
//! | `G:paused` | SET | handlers that an operator paused |
//! | `G:seen` | HASH | `h` → when it was last seen open, ms |
//! | `G:open` | ZSET | `h\nnode` → until when that node is believed to have it open, real time of the server, ms; without `h`: to be there at all |
//! | `G:role:<r>` | HASH | `holder`, `until` (journal clock, ms), `fence` |
//! | `G:keys` | HASH | idempotency keys that came from another journal, as in `T:k:<day>` |
//! | `G:probe` | STRING PX | written to find out whether writing works |
//! | `G:ticks` | HASH | schedule → time of its last tick, ms |
//! | `G:o` | STREAM | outbox of ticks |
//! | `G:news` | channel | a node, and the log that it appended to |
//! | `T:s` | STREAM | the log: `m` metadata, in which are id, type and digest of the ordering key (codec.rs), `d` payload, always both, in this order. An empty `d`: the payload is in `T:data`, or dropped |
//! | group `h` on `T:s` | | one per handler; its consumers are incarnations of nodes. Pending there: a first attempt that runs |
//! | `T:t` | HASH | type → bound handlers, each followed by `\n` |
//! | `T:b` | HASH | `h\0type` → pid that this binding starts after |
//! | `T:c` | HASH | counters: `u:<h>` unsettled of a handler (in the log, handed out, waiting, parked), `d:<h>` dead letters, `n:<type>` messages in the log, `bytes`; `day` the last one whose hashes were dropped |
//! | `T:i:<day>` | HASH | message id (16 bytes) → pid, or empty while it is delayed; by the day it was written |
//! | `T:k:<day>` | HASH | scope digest → `at` (13 digits), message id (16), payload digest (16); by the day it was written |
//! | `T:x:<h>` | HASH | pid → `state,attempts,crashes,replay,due`: deliveries that are not pending in the group. State `w` waiting, `o` handed out, `p` given up and holding its key. Of what was handed out alone (`lease.lua`), due is when |
//! | `T:z:<h>` | ZSET | due, ms → pid, for each `w` |
//! | `T:w:<h>` | HASH | pid → node that has it, for each `o` |
//! | `T:p:<h>` | ZSET, all scores 0 | `digest:pid`: parked behind an earlier message of their key; they have no row in `x` |
//! | `T:y:<h>` | HASH | digest → pid of the head that holds the key; or `!`, a pid and a message id: what comes up to there dies with that message. Also `q` and a pid → the row that a parked delivery had |
//! | `T:g:<h>` | HASH | pid → when it was discarded, or died with its key, before the group had read it: it is acked when it is read |
//! | `T:e` | HASH | `h\|pid` → own copy (two packed fields, as in the log) of a replayed message that left the log |
//! | `T:d`, `T:dz` | HASH, ZSET | dead letters: `h\|pid` → six packed fields (died, attempts, replay, failure, m, d); died → `h\|pid`. In `T:d` also `#` and a message id → pid, of what is to be found longer than its day |
//! | `T:a`, `T:az` | HASH, ZSET | `h\|pid` → packed JSON texts of failed attempts; time of the last → `h\|pid` |
//! | `T:r` | HASH | `h\|pid` → replay number |
//! | `T:ch` | HASH | pid → ids (16 bytes each) that its handlers emitted |
//! | `T:l`, `T:lh` | ZSET, HASH | delayed: due → message id; message id → two packed fields |
//! | `T:o` | STREAM | outbox, to other shards: the fields of the log, then `i` scope digest, `h` payload digest, both empty without a key |
//! | `T:n:<node>` | STRING PX | heartbeat of one incarnation of a node, in real time |
//!
//! "Packed" fields are each preceded by their length, four bytes, big endian.
//!
//! Against the first sketch: idempotency keys live in a HASH per day, not in a STRING each (a batch is one HMGET, and
//! they expire by the journal's clock); an ordered handler needs no owner of a shard, since reading it, and parking
//! what finds its key held, is one script that any node may run.

use std::time::Duration;

use coordinator_message::Timestamp;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Bits of a position below the milliseconds.
const SEQUENCE_BITS: u32 = 20;

/// The keys of one shard.
#[derive(Debug, Clone)]
pub(super) struct ShardKeys {
    tag: String,
}

/// The keys of no shard.
#[derive(Debug, Clone)]
pub(super) struct GlobalKeys {
    tag: String,
}

// === impl ShardKeys ===

impl ShardKeys {
    pub(super) fn new(prefix: &str, lane: &str, partition: u32) -> Self {
        Self {
            tag: format!("{{{prefix}/{lane}/{partition}}}"),
        }
    }

    fn of(&self, what: &str) -> String {
        format!("{}:{what}", self.tag)
    }

    fn with(&self, what: &str, name: impl std::fmt::Display) -> String {
        format!("{}:{what}:{name}", self.tag)
    }

    /// `T:s`
    pub(super) fn log(&self) -> String {
        self.of("s")
    }

    /// `T:t`
    pub(super) fn types(&self) -> String {
        self.of("t")
    }

    /// `T:b`
    pub(super) fn bindings(&self) -> String {
        self.of("b")
    }

    /// `T:c`
    pub(super) fn counters(&self) -> String {
        self.of("c")
    }

    /// `T:i:<day>`
    pub(super) fn ids(&self, day: i64) -> String {
        self.with("i", day)
    }

    /// `T:k:<day>`
    pub(super) fn idempotency(&self, day: i64) -> String {
        self.with("k", day)
    }

    /// `T:x:<h>`
    pub(super) fn rows(&self, handler: &str) -> String {
        self.with("x", handler)
    }

    /// `T:z:<h>`
    pub(super) fn due(&self, handler: &str) -> String {
        self.with("z", handler)
    }

    /// `T:w:<h>`
    pub(super) fn owners(&self, handler: &str) -> String {
        self.with("w", handler)
    }

    /// `T:p:<h>`
    pub(super) fn parked(&self, handler: &str) -> String {
        self.with("p", handler)
    }

    /// `T:y:<h>`
    pub(super) fn heads(&self, handler: &str) -> String {
        self.with("y", handler)
    }

    /// `T:e`
    pub(super) fn copies(&self) -> String {
        self.of("e")
    }

    /// `T:d`
    pub(super) fn dead(&self) -> String {
        self.of("d")
    }

    /// `T:dz`
    pub(super) fn dead_times(&self) -> String {
        self.of("dz")
    }

    /// `T:a`
    pub(super) fn attempts(&self) -> String {
        self.of("a")
    }

    /// `T:az`
    pub(super) fn attempt_times(&self) -> String {
        self.of("az")
    }

    /// `T:r`
    pub(super) fn replays(&self) -> String {
        self.of("r")
    }

    /// `T:ch`
    pub(super) fn children(&self) -> String {
        self.of("ch")
    }

    /// `T:l`
    pub(super) fn delayed(&self) -> String {
        self.of("l")
    }

    /// `T:lh`
    pub(super) fn delayed_bodies(&self) -> String {
        self.of("lh")
    }

    /// `T:data`
    pub(super) fn data(&self) -> String {
        self.of("data")
    }

    /// `T:o`
    pub(super) fn outbox(&self) -> String {
        self.of("o")
    }

    /// `T:n:<node>`
    pub(super) fn heartbeat(&self, node: &str) -> String {
        self.with("n", node)
    }

    /// `T:g:<h>`
    pub(super) fn gone(&self, handler: &str) -> String {
        self.with("g", handler)
    }

    /// The keys that every script about deliveries of one handler names, in this order; see `redis/lib.lua`.
    pub(super) fn of_handler(&self, handler: &str, node: &str) -> Vec<String> {
        vec![
            self.log(),
            self.counters(),
            self.heartbeat(node),
            self.rows(handler),
            self.due(handler),
            self.owners(handler),
            self.parked(handler),
            self.heads(handler),
            self.dead(),
            self.dead_times(),
            self.attempts(),
            self.attempt_times(),
            self.replays(),
            self.copies(),
            self.children(),
            self.outbox(),
            self.bindings(),
            self.data(),
        ]
    }
}

// === impl GlobalKeys ===

impl GlobalKeys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            tag: format!("{{{prefix}}}"),
        }
    }

    /// `G:made`
    pub(super) fn made(&self) -> String {
        format!("{}:made", self.tag)
    }

    /// `G:shards`
    pub(super) fn shards(&self) -> String {
        format!("{}:shards", self.tag)
    }

    /// `G:handlers`
    pub(super) fn handlers(&self) -> String {
        format!("{}:handlers", self.tag)
    }

    /// `G:paused`
    pub(super) fn paused(&self) -> String {
        format!("{}:paused", self.tag)
    }

    /// `G:seen`
    pub(super) fn seen(&self) -> String {
        format!("{}:seen", self.tag)
    }

    /// `G:open`
    pub(super) fn open(&self) -> String {
        format!("{}:open", self.tag)
    }

    /// `G:role:<r>`
    pub(super) fn role(&self, role: &str) -> String {
        format!("{}:role:{role}", self.tag)
    }

    /// `G:keys`
    pub(super) fn moved_keys(&self) -> String {
        format!("{}:keys", self.tag)
    }

    /// `G:probe`
    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.tag)
    }

    /// `G:ticks`
    pub(super) fn ticks(&self) -> String {
        format!("{}:ticks", self.tag)
    }

    /// `G:o`
    pub(super) fn outbox(&self) -> String {
        format!("{}:o", self.tag)
    }

    /// `G:news`, a channel.
    pub(super) fn news(&self) -> String {
        format!("{}:news", self.tag)
    }
}

/// The day of a time.
pub(super) fn day(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY)
}

/// The days that may hold what is not older than `retention`, latest first.
pub(super) fn days(now: Timestamp, retention: Duration) -> impl Iterator<Item = i64> {
    (day(now.before(retention))..=day(now)).rev()
}

/// `h|pid`
pub(super) fn delivery(handler: &str, pid: &str) -> String {
    format!("{handler}|{pid}")
}

/// The member of `T:shards` for a shard.
pub(super) fn shard_name(lane: &str, partition: u32) -> String {
    format!("{lane}\0{partition}")
}

/// What [`shard_name`] wrote.
pub(super) fn read_shard_name(name: &str) -> Option<(&str, u32)> {
    let (lane, partition) = name.rsplit_once('\0')?;
    Some((lane, partition.parse().ok()?))
}

/// A position as a pid.
pub(super) fn pid(position: u64) -> String {
    let (ms, seq) = (
        position >> SEQUENCE_BITS,
        position & ((1 << SEQUENCE_BITS) - 1),
    );
    format!("{ms:013}-{seq:07}")
}

/// An entry id, with or without leading zeros, as a position.
pub(super) fn position(id: &str) -> Option<u64> {
    let (ms, seq) = id.split_once('-')?;
    let (ms, seq): (u64, u64) = (ms.parse().ok()?, seq.parse().ok()?);
    (seq < 1 << SEQUENCE_BITS && ms < 1 << (64 - SEQUENCE_BITS))
        .then_some(ms << SEQUENCE_BITS | seq)
}

/// When the entry at a position was written.
pub(super) fn written(position: u64) -> Timestamp {
    Timestamp::from_millis((position >> SEQUENCE_BITS).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_and_its_pid_are_the_same_and_sort_alike() {
        let early = position("1769851800123-9").unwrap();
        let late = position("1769851800123-10").unwrap();
        assert_eq!(pid(early), "1769851800123-0000009");
        assert_eq!(position(&pid(late)), Some(late));
        assert!(early < late && pid(early) < pid(late));
        assert_eq!(written(late), Timestamp::from_millis(1_769_851_800_123));
        assert_eq!(position("1-1048576"), None);
    }

    #[test]
    fn the_days_of_a_retention_cover_both_ends() {
        let now = Timestamp::from_millis(10 * DAY + 5);
        let found: Vec<_> = days(now, Duration::from_millis(DAY.unsigned_abs())).collect();
        assert_eq!(found, [10, 9]);
    }

    #[test]
    fn a_shard_is_named_by_lane_and_partition() {
        let name = shard_name("orders", 3);
        assert_eq!(read_shard_name(&name), Some(("orders", 3)));
    }
}
