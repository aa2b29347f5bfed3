//! A full disk: what cannot be written is refused, what was accepted stays, and it goes on when there is room.
//!
//! The disk is a limit on the size of files, in a process of its own: to SQLite that is the same, and it is undone
//! while the journal is open.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Durability, HandlerSpec, Journal, Limits, NewMessage, PublishError, Settle, SettleOutcome,
    StartFrom, SystemClock, Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use tempfile::TempDir;

const PAID: &str = "org.openedx.payment.received.v1";
/// Tells a started copy of this program that it has the small disk.
const SMALL_DISK: &str = "JOURNAL_SMALL_DISK";
/// Files grow to this size and no further, while the disk is full.
const ROOM: &str = "3145728";
/// Of one message: the disk is full after some tens.
const PAYLOAD: usize = 64 << 10;

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    // A write beyond the limit kills a process that does not ignore the signal.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_disk_fills_up_and_is_freed", "--nocapture"])
        .env(SMALL_DISK, "yes")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("refused, and went on"),
        "{text}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

/// Not a test of its own: what the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_fills_up_and_is_freed() {
    if std::env::var_os(SMALL_DISK).is_none() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path()).await;
    let mut stream = journal.open(handler()).await.unwrap();
    limit_files(ROOM);
    let (mut accepted, refused) = fill(&journal).await;
    // Settled or not, but never half of it: the log may have been emptied into the file meanwhile, which makes room.
    let first = stream.next(1).await.unwrap().remove(0);
    let ack = Settle {
        token: first.token.clone(),
        verdict: Verdict::Ack {
            emits: vec![message()],
        },
    };
    let early = journal.settle(vec![ack.clone()]).await;
    limit_files("unlimited");
    journal.probe().await.unwrap();
    let outcomes = match early {
        Ok(outcomes) => outcomes,
        Err(_) => journal.settle(vec![ack]).await.unwrap(),
    };
    assert_eq!(outcomes, [SettleOutcome::Settled]);
    accepted.push(publish(&journal).await);
    assert_eq!(
        journal.stats().await.unwrap().messages,
        accepted.len() as u64 + 1
    );
    journal.close().await;

    let journal = open(dir.path()).await;
    let mut stream = journal.open(handler()).await.unwrap();
    let mut came = vec![first.message.id];
    while came.len() < accepted.len() + 1 {
        let deliveries = tokio::time::timeout(Duration::from_secs(60), stream.next(64)).await;
        came.extend(
            deliveries
                .unwrap()
                .unwrap()
                .iter()
                .map(|one| one.message.id),
        );
    }
    assert!(accepted.iter().all(|id| came.contains(id)));
    assert!(!came.contains(&refused), "a refused message was delivered");
    journal.close().await;
    println!("refused, and went on");
}

/// Publishes until the disk is full; answers what was accepted, and the one that was refused.
async fn fill(journal: &SqliteJournal) -> (Vec<MessageId>, MessageId) {
    let mut accepted = Vec::new();
    loop {
        assert!(accepted.len() < 10_000, "the disk never filled up");
        let message = message();
        let id = message.envelope.id;
        match journal.publish(vec![message]).await {
            Ok(_) => accepted.push(id),
            Err(PublishError::Unavailable { .. }) => {
                assert!(accepted.len() > 10, "{}", accepted.len());
                return (accepted, id);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Limits how large files of this process may become.
fn limit_files(size: &str) {
    let pid = std::process::id().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={size}:")])
        .status()
        .unwrap();
    assert!(done.success());
}

async fn open(dir: &Path) -> SqliteJournal {
    let options = SqliteOptions {
        dir: dir.to_owned(),
        durability: Durability::Strict,
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
    };
    SqliteJournal::open(options).await.unwrap()
}

fn handler() -> HandlerSpec {
    HandlerSpec {
        from: StartFrom::Earliest,
        ..HandlerSpec::new("lms.enrol", vec![PAID.parse().unwrap()])
    }
}

fn message() -> NewMessage {
    let now = Timestamp::now();
    let data = vec![b'x'; PAYLOAD].into();
    NewMessage {
        envelope: Envelope::new(
            MessageId::new(now),
            PAID.parse().unwrap(),
            "/plugins/stripe",
            now,
            data,
        ),
        publisher: "plugin/stripe".to_owned(),
        idempotency_key: None,
        deliver_at: None,
    }
}

async fn publish(journal: &SqliteJournal) -> MessageId {
    let message = message();
    let id = message.envelope.id;
    journal.publish(vec![message]).await.unwrap();
    id
}
