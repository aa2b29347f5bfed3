//! The power fails: at every sync of a run, what a disk would have kept holds everything that was promised by then.
//!
//! `kill -9` cannot show this, for the page cache outlives the process. So the victim runs with a recorder preloaded
//! (`power_cut/recorder.c`) that writes down each write and each sync of its files in their true order; what it told
//! its publishers goes through the same record. Played back, every sync is a moment at which the power could fail: all
//! that was not synced is gone, or, in a second disk, any of its sectors are there and the others not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "power_cut/disk.rs"]
mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Delivery, Durability, Failure, FailureKind, HandlerSpec, Journal, Limits, NewMessage, Settle,
    StartFrom, SystemClock, Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use disk::{Deed, Disk, Event};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{Connection as _, SqliteConnection, query_scalar};
use tempfile::TempDir;

const PAID: &str = "org.openedx.payment.received.v1";
const ENROLLED: &str = "org.openedx.enrolment.created.v1";
/// Names the directory in which a started copy of this program plays the victim.
const VICTIM: &str = "JOURNAL_POWER_CUT_DIR";
/// The victim is done when it has settled so many.
const MESSAGES: usize = 400;
const PUBLISHERS: usize = 3;
/// What the world was promised: one line each. It is below the recorded folder and not part of the disk.
const PROMISES: &str = "promises";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_sync_loses_nothing_that_was_promised() {
    let dir = TempDir::new().unwrap();
    let events = disk::read(&run_victim(dir.path()));
    let (mut disk, mut promised) = (Disk::default(), Promised::default());
    let mut cuts = 0_u64;
    for event in events {
        if event.file == PROMISES {
            promised.take(&event);
            continue;
        }
        let boundary = matches!(event.deed, Deed::Sync);
        if boundary {
            // Just before the sync is done, and just after it.
            let torn = TempDir::new().unwrap();
            disk.cut_torn(torn.path(), cuts);
            promised.check(torn.path(), cuts, "torn").await;
        }
        disk.happen(event);
        if boundary {
            let clean = TempDir::new().unwrap();
            disk.cut(clean.path());
            promised.check(clean.path(), cuts, "clean").await;
            cuts += 1;
        }
    }
    eprintln!(
        "{cuts} syncs, two disks each; {} accepted, {} settled",
        promised.accepted.len(),
        promised.settled.len()
    );
    assert!(cuts > 50, "the victim synced {cuts} times");
    assert!(promised.settled.len() >= MESSAGES);
}

/// What the victim has told by now.
#[derive(Default)]
struct Promised {
    text: String,
    accepted: BTreeSet<MessageId>,
    /// With what the handler emitted.
    settled: BTreeMap<MessageId, MessageId>,
}

impl Promised {
    fn take(&mut self, event: &Event) {
        let Deed::Write { data, .. } = &event.deed else {
            return;
        };
        self.text.push_str(std::str::from_utf8(data).unwrap());
        while let Some((line, rest)) = self.text.split_once('\n') {
            let mut ids = line.split(' ').map(|id| id.parse().unwrap());
            match (ids.next().unwrap(), ids.next()) {
                (accepted, None) => drop(self.accepted.insert(accepted)),
                (settled, Some(emitted)) => drop(self.settled.insert(settled, emitted)),
            }
            self.text = rest.to_owned();
        }
    }

    /// Opens what is left and looks whether everything is there.
    async fn check(&self, dir: &Path, cut: u64, kind: &str) {
        if self.accepted.is_empty() && !dir.join("journal.db").exists() {
            return;
        }
        let journal = open(dir).await;
        let stats = journal.stats().await.unwrap();
        let waiting: u64 = stats.handlers.iter().map(|handler| handler.lag).sum();
        journal.close().await;
        drop(journal);
        let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let healthy: String = query_scalar("PRAGMA integrity_check")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(healthy, "ok", "{kind} cut {cut}");
        let stored: Vec<Vec<u8>> = query_scalar("SELECT id FROM message")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let stored: BTreeSet<MessageId> = stored
            .into_iter()
            .map(|id| MessageId::from_bytes(id.try_into().unwrap()))
            .collect();
        for id in self.accepted.iter().chain(self.settled.values()) {
            assert!(stored.contains(id), "{kind} cut {cut}: `{id}` is lost");
        }
        // What was settled stays settled: no more wait than payments are stored that were not.
        let payments: i64 = query_scalar(
            "SELECT count(*) FROM message WHERE type = (SELECT id FROM type WHERE name = ?)",
        )
        .bind(PAID)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        let unsettled = payments.unsigned_abs() - self.settled.len() as u64;
        assert!(
            waiting <= unsettled,
            "{kind} cut {cut}: {waiting} wait, {unsettled} may"
        );
        connection.close().await.unwrap();
    }
}

/// Runs the victim to its end and returns the record of what it did.
fn run_victim(dir: &Path) -> Vec<u8> {
    let recorder = dir.join("recorder.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power_cut/recorder.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&recorder)
        .arg(source)
        .status();
    assert!(compiled.unwrap().success(), "the recorder compiles");
    let (root, record) = (dir.join("data"), dir.join("record"));
    std::fs::create_dir(&root).unwrap();
    let victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_victim_works_until_it_has_settled_enough"])
        .env(VICTIM, &root)
        .env("LD_PRELOAD", &recorder)
        .env("RECORDER_ROOT", &root)
        .env("RECORDER_OUT", &record)
        .stdout(Stdio::null())
        .status();
    assert!(victim.unwrap().success(), "the victim ended well");
    std::fs::read(record).unwrap()
}

/// Not a test of its own: what the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_works_until_it_has_settled_enough() {
    let Some(dir) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let promises = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join(PROMISES))
        .unwrap();
    let promises = Arc::new(promises);
    let journal: Arc<dyn Journal> = Arc::new(open(&dir).await);
    let mut paid = journal.open(handler("lms.enrol", PAID)).await.unwrap();
    let left = Arc::new(AtomicUsize::new(MESSAGES));
    for _ in 0..PUBLISHERS {
        let (journal, promises, left) = (journal.clone(), promises.clone(), left.clone());
        tokio::spawn(async move {
            while take_one(&left) {
                let message = message(PAID, MessageId::new(Timestamp::now()));
                let receipt = journal.publish(vec![message]).await.unwrap().remove(0);
                tell(&promises, &receipt.id.to_string());
            }
        });
    }
    let mut settled = 0;
    while settled < MESSAGES {
        let deliveries = paid.next(8).await.unwrap();
        let settles: Vec<Settle> = deliveries.iter().map(settle).collect();
        journal.settle(settles.clone()).await.unwrap();
        for (delivery, settle) in deliveries.iter().zip(&settles) {
            if matches!(settle.verdict, Verdict::Ack { .. }) {
                settled += 1;
                let line = format!("{} {}", delivery.message.id, delivery.emit_id(0));
                tell(&promises, &line);
            }
        }
    }
    // The power fails while it runs: nothing is closed.
    std::process::exit(0);
}

fn take_one(left: &AtomicUsize) -> bool {
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    taken.is_ok()
}

/// One line in one write.
fn tell(promises: &std::fs::File, line: &str) {
    use std::io::Write as _;
    (&*promises)
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// One in ten fails first.
fn settle(delivery: &Delivery) -> Settle {
    let fails = delivery.attempt == 1 && delivery.message.id.as_bytes()[15].is_multiple_of(10);
    let now = Timestamp::now();
    let verdict = if fails {
        let failure = Failure {
            kind: FailureKind::Retry,
            chain: vec!["busy".to_owned()],
            started: now,
            ran_ms: 1,
        };
        Verdict::Retry { due: now, failure }
    } else {
        let mut emit = message(ENROLLED, delivery.emit_id(0));
        emit.envelope.cause = Some(delivery.message.id);
        Verdict::Ack { emits: vec![emit] }
    };
    Settle {
        token: delivery.token.clone(),
        verdict,
    }
}

fn message(ty: &str, id: MessageId) -> NewMessage {
    let data = format!("{{\"text\": \"{}\"}}", "x".repeat(900)).into();
    let envelope = Envelope::new(id, ty.parse().unwrap(), "/test", Timestamp::now(), data);
    NewMessage {
        envelope,
        publisher: "plugin/test".to_owned(),
        idempotency_key: Some(id.to_string()),
        deliver_at: None,
    }
}

fn handler(id: &str, ty: &str) -> HandlerSpec {
    HandlerSpec {
        from: StartFrom::Earliest,
        ..HandlerSpec::new(id, vec![ty.parse().unwrap()])
    }
}

async fn open(dir: &Path) -> SqliteJournal {
    let (durability, clock) = (Durability::Strict, Arc::new(SystemClock));
    let options = SqliteOptions {
        dir: dir.to_owned(),
        durability,
        limits: Limits::default(),
        clock,
    };
    SqliteJournal::open(options).await.unwrap()
}
