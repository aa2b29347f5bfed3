//! Large batches: appended before they are judged.

use std::sync::Arc;

use coordinator_journal::{Deliveries, Journal, Limits, NewMessage, PublishError, ReceiptStatus};

use crate::conformance::{self, PAID, message, paid_handler, publish, take};
use crate::harness::RedisHarness;
use crate::server::{Server, Settings};

/// Positions of a millisecond.
const MOST: u64 = 1 << 20;

/// What `nothing_else_waits` publishes to find out.
const PROBE: usize = 1;

/// A journal on a server of its own, into which something was written, and a handler that took it.
struct Stage {
    server: Arc<Server>,
    harness: RedisHarness,
    journal: Box<dyn Journal>,
    stream: Box<dyn Deliveries>,
}

impl Stage {
    async fn new(limits: Limits) -> Self {
        let server = Arc::new(Server::start(Settings::default()));
        let harness = RedisHarness::on(server.clone(), 1);
        let journal = conformance::Harness::open(&harness, limits).await;
        let mut stream = paid_handler(&*journal, "lms.enrol").await;
        publish(&*journal, message(PAID, "first")).await;
        let first = take(&mut stream, 1).await;
        conformance::ack(&*journal, &first[0]).await;
        Self {
            server,
            harness,
            journal,
            stream,
        }
    }

    /// Milliseconds of the journal's clock, which stands still.
    fn now(&self) -> i64 {
        use coordinator_journal::Clock as _;
        conformance::Harness::clock(&self.harness).now().as_millis()
    }

    fn log(&self) -> String {
        let keys = self.harness.keys("*:s");
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys.into_iter().next().unwrap()
    }

    fn entries(&self) -> usize {
        let reply = self.server.command(&["XLEN", &self.log()]);
        let count = reply.lines().next().and_then(|line| line.strip_prefix(':'));
        count.unwrap().parse().unwrap()
    }

    /// Everything of a batch was accepted now, and is delivered once.
    async fn is_accepted(&mut self, batch: &[NewMessage]) {
        let receipts = self.journal.publish(batch.to_vec()).await.unwrap();
        let new =
            |receipt: &&coordinator_journal::Receipt| receipt.status == ReceiptStatus::Accepted;
        assert_eq!(receipts.iter().filter(new).count(), batch.len());
        let given = take(&mut self.stream, batch.len()).await;
        let ids: Vec<_> = given.iter().map(|one| one.message.id).collect();
        let published: Vec<_> = batch.iter().map(|one| one.envelope.id).collect();
        assert_eq!(ids, published);
        conformance::ack_all(&*self.journal, &given).await;
        conformance::nothing_else_waits(&*self.journal, &mut self.stream).await;
    }
}

fn large(count: usize) -> Vec<NewMessage> {
    let payload = format!("\"{}\"", "x".repeat(2 << 10));
    (0..count).map(|_| message(PAID, &payload)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_a_large_batch_leaves_nothing_behind() {
    let mut stage = Stage::new(conformance::roomy()).await;
    let batch = large(40);
    stage.is_accepted(&batch).await;
    let before = stage.entries();
    // Half of it is known; a server that forgot its scripts makes no difference.
    stage.server.command(&["SCRIPT", "FLUSH"]);
    let new = large(20);
    let mixed: Vec<_> = batch[..20].iter().chain(&new).cloned().collect();
    let receipts = stage.journal.publish(mixed).await.unwrap();
    let duplicates = receipts[..20].iter();
    assert!(duplicates.zip(&batch).all(|(receipt, first)| {
        receipt.status == ReceiptStatus::Duplicate && receipt.id == first.envelope.id
    }));
    assert!(
        receipts[20..]
            .iter()
            .all(|receipt| receipt.status == ReceiptStatus::Accepted)
    );
    let given = take(&mut stage.stream, 20).await;
    conformance::ack_all(&*stage.journal, &given).await;
    conformance::nothing_else_waits(&*stage.journal, &mut stage.stream).await;
    assert_eq!(stage.entries(), before + 20 + PROBE);
    for one in batch.iter().chain(&new) {
        let found = stage.journal.message(one.envelope.id).await.unwrap();
        assert_eq!(found.unwrap().record.message.data, one.envelope.data);
    }
    stage.journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_over_the_bound_is_refused_whole() {
    let mut stage = Stage::new(Limits {
        max_backlog: 30,
        ..conformance::roomy()
    })
    .await;
    let before = stage.entries();
    let batch = large(40);
    let refused = stage.journal.publish(batch.clone()).await.unwrap_err();
    assert!(matches!(refused, PublishError::Full { .. }), "{refused}");
    assert_eq!(stage.entries(), before);
    let found = stage.journal.message(batch[0].envelope.id).await.unwrap();
    assert!(found.is_none());
    stage.is_accepted(&batch[..30]).await;
    stage.journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_is_accepted_by_a_node_whose_clock_is_behind_the_log() {
    let mut stage = Stage::new(conformance::roomy()).await;
    let later = stage.now() + 60_000;
    let last = format!("{later}-7");
    stage.server.command(&["XSETID", &stage.log(), &last]);
    stage.is_accepted(&large(40)).await;
    stage.is_accepted(&large(40)).await;
    assert_eq!(stage.entries(), 1 + 2 * (40 + PROBE));
    stage.journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_millisecond_that_is_full_is_followed_by_the_next() {
    let mut stage = Stage::new(conformance::roomy()).await;
    let last = format!("{}-{}", stage.now(), MOST - 21);
    stage.server.command(&["XSETID", &stage.log(), &last]);
    stage.is_accepted(&large(40)).await;
    stage.is_accepted(&large(2)).await;
    assert_eq!(stage.entries(), 1 + 40 + PROBE + 2 + PROBE);
    stage.journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_refuses_a_large_batch_and_keeps_nothing_of_it() {
    let mut stage = Stage::new(conformance::roomy()).await;
    let before = stage.entries();
    stage.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let batch = large(40);
    let refused = stage.journal.publish(batch.clone()).await.unwrap_err();
    assert!(
        matches!(refused, PublishError::Unavailable { .. }),
        "{refused}"
    );
    assert_eq!(stage.entries(), before);
    stage.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    stage.is_accepted(&batch).await;
    stage.journal.close().await;
}
