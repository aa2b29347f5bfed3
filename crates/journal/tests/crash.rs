//! `kill -9` under load: what was accepted is delivered, and what was emitted is neither lost nor doubled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{
    Deliveries, Delivery, Durability, Failure, FailureKind, HandlerSpec, Journal, Limits,
    NewMessage, Settle, StartFrom, SystemClock, Verdict,
};
use coordinator_message::{Envelope, MessageId, Timestamp};
use tempfile::TempDir;

const PAID: &str = "org.openedx.payment.received.v1";
const ENROLLED: &str = "org.openedx.enrolment.created.v1";
/// Names the directory in which a started copy of this program plays the victim.
const VICTIM: &str = "JOURNAL_VICTIM_DIR";
const KILLS: u32 = 5;
/// For a hung victim only.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_kill_9_under_load() {
    let dir = TempDir::new().unwrap();
    for round in 0..KILLS {
        let before = lines(dir.path(), "published").len();
        let mut victim = start_victim(dir.path());
        // Somewhere in the middle of a group: the count is random enough, and needs no clock.
        let enough =
            before + 100 + (Timestamp::now().as_millis().unsigned_abs() as usize * 7919) % 2000;
        wait_for(
            || lines(dir.path(), "published").len() >= enough,
            &mut victim,
        );
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(
            lines(dir.path(), "published").len() > before,
            "round {round}"
        );
    }
    let journal = open(dir.path()).await;
    let mut paid = journal.open(handler("lms.enrol", PAID)).await.unwrap();
    let mut enrolled = journal.open(handler("mail.send", ENROLLED)).await.unwrap();
    let ledger = Ledger::append(dir.path(), "handled");
    let received = Ledger::append(dir.path(), "received");
    while unsettled(&*journal).await > 0 {
        tokio::select! {
            () = enrol(&*journal, &mut paid, &ledger) => {}
            () = receive(&*journal, &mut enrolled, &received) => {}
            // The verdicts of a branch that was left are still written: then nothing more comes, and that is the end.
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    check(&*journal, dir.path()).await;
    journal.close().await;
}

/// Every message that was promised was handled, and has exactly one child, which was received.
async fn check(journal: &dyn Journal, dir: &Path) {
    let handled: HashSet<String> = lines(dir, "handled").into_iter().collect();
    let received: HashSet<String> = lines(dir, "received").into_iter().collect();
    let published = lines(dir, "published");
    for id in &published {
        assert!(
            handled.contains(id),
            "`{id}` was accepted and never handled"
        );
    }
    for id in &handled {
        let detail = journal.message(id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(
            detail.children.len(),
            1,
            "`{id}` has these: {:?}",
            detail.children
        );
        assert!(
            received.contains(&detail.children[0].to_string()),
            "the child of `{id}` was never received"
        );
    }
    assert_eq!(
        journal.stats().await.unwrap().messages,
        2 * handled.len() as u64
    );
}

/// Not a test of its own: what the test above starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_publishes_and_handles_until_it_is_killed() {
    let Some(dir) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let journal: Arc<dyn Journal> = Arc::from(open(&dir).await);
    let mut paid = journal.open(handler("lms.enrol", PAID)).await.unwrap();
    let mut enrolled = journal.open(handler("mail.send", ENROLLED)).await.unwrap();
    for _ in 0..32 {
        let (journal, ledger) = (journal.clone(), Ledger::append(&dir, "published"));
        tokio::spawn(async move {
            loop {
                let message = message(PAID, MessageId::new(Timestamp::now()));
                let receipt = journal.publish(vec![message]).await.unwrap().remove(0);
                ledger.write(receipt.id);
            }
        });
    }
    let (other, received) = (journal.clone(), Ledger::append(&dir, "received"));
    tokio::spawn(async move {
        loop {
            receive(&*other, &mut enrolled, &received).await;
        }
    });
    let handled = Ledger::append(&dir, "handled");
    loop {
        enrol(&*journal, &mut paid, &handled).await;
    }
}

/// Handles some payments: each emits one enrolment; one in ten fails first.
async fn enrol(journal: &dyn Journal, stream: &mut Box<dyn Deliveries>, ledger: &Ledger) {
    let settles = stream.next(64).await.unwrap().into_iter().map(|delivery| {
        ledger.write(delivery.message.id);
        let fails = delivery.attempt == 1 && delivery.message.id.as_bytes()[15] % 10 == 0;
        let verdict = if fails {
            later()
        } else {
            Verdict::Ack {
                emits: vec![emit(&delivery)],
            }
        };
        Settle {
            token: delivery.token,
            verdict,
        }
    });
    journal.settle(settles.collect()).await.unwrap();
}

async fn receive(journal: &dyn Journal, stream: &mut Box<dyn Deliveries>, ledger: &Ledger) {
    let settles = stream.next(64).await.unwrap().into_iter().map(|delivery| {
        ledger.write(delivery.message.id);
        Settle {
            token: delivery.token,
            verdict: Verdict::Ack { emits: Vec::new() },
        }
    });
    journal.settle(settles.collect()).await.unwrap();
}

fn later() -> Verdict {
    let now = Timestamp::now();
    let failure = Failure {
        kind: FailureKind::Retry,
        chain: vec!["busy".to_owned()],
        started: now,
        ran_ms: 1,
    };
    Verdict::Retry { due: now, failure }
}

fn emit(delivery: &Delivery) -> NewMessage {
    let mut new = message(ENROLLED, delivery.emit_id(0));
    new.envelope.cause = Some(delivery.message.id);
    new
}

fn message(ty: &str, id: MessageId) -> NewMessage {
    let envelope = Envelope::new(
        id,
        ty.parse().unwrap(),
        "/test",
        Timestamp::now(),
        "{}".into(),
    );
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
        ..HandlerSpec::new(id.to_owned(), vec![ty.parse().unwrap()])
    }
}

async fn open(dir: &Path) -> Box<dyn Journal> {
    let limits = Limits {
        retention: Duration::from_secs(86_400),
        max_size: 1 << 30,
        max_backlog: 1 << 20,
        ..Limits::default()
    };
    let (durability, clock) = (Durability::Strict, Arc::new(SystemClock));
    Box::new(
        SqliteJournal::open(SqliteOptions {
            dir: dir.to_owned(),
            durability,
            limits,
            clock,
        })
        .await
        .unwrap(),
    )
}

async fn unsettled(journal: &dyn Journal) -> u64 {
    journal
        .stats()
        .await
        .unwrap()
        .handlers
        .iter()
        .map(|handler| handler.lag)
        .sum()
}

fn start_victim(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_victim_publishes_and_handles_until_it_is_killed",
            "--nocapture",
        ])
        .env(VICTIM, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(done: impl Fn() -> bool, victim: &mut Child) {
    let started = Instant::now();
    while !done() {
        assert!(
            victim.try_wait().unwrap().is_none(),
            "the victim ended by itself"
        );
        assert!(started.elapsed() < PATIENCE, "the victim publishes nothing");
        std::thread::yield_now();
    }
}

/// Lines that outlive a kill: each is handed to the operating system at once.
struct Ledger(File);

impl Ledger {
    fn append(dir: &Path, name: &str) -> Self {
        Self(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(dir.join(name))
                .unwrap(),
        )
    }

    fn write(&self, id: MessageId) {
        (&self.0).write_all(format!("{id}\n").as_bytes()).unwrap();
    }
}

fn lines(dir: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
