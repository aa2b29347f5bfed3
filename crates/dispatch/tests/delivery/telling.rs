//! What is said: in the log, and to the observer.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use coordinator_context::{HandlerTerms, Reply};
use coordinator_dispatch::{Attempted, DispatchOptions, HandlerState, Observer};

use crate::stage::{Stage, ack, brisk, eventually, in_state, retry, target};

/// Everything that this process logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of the process: handlers run on threads of their own, so one subscriber serves all tests.
    fn listen() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .json()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(move || writer.clone())
                .init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Waits for a line that holds all of `parts`.
    async fn line_with(&self, parts: &[&str]) -> String {
        eventually("a log line", async || {
            let text = self.text();
            text.lines()
                .find(|line| parts.iter().all(|part| line.contains(part)))
                .map(str::to_owned)
        })
        .await
    }
}

#[tokio::test]
async fn a_stuck_handler_is_named_with_its_message_when_it_blocks_and_when_it_goes_on() {
    let log = Log::listen();
    let stage = Stage::new().await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let terms = HandlerTerms {
        timeout: Duration::from_millis(20),
        ..brisk()
    };
    let blocks = target("told.blocks", terms, move |_| {
        let blocked = Arc::clone(&blocked);
        async move {
            let _ = blocked
                .lock()
                .unwrap()
                .recv_timeout(Duration::from_secs(30));
            ack()
        }
    });
    let told = Arc::new(Told::default());
    let observer = Arc::clone(&told) as Arc<dyn Observer>;
    let dispatcher = stage
        .start_with(
            DispatchOptions {
                observer,
                ..DispatchOptions::default()
            },
            vec![blocks],
        )
        .await;
    let id = stage.publish(1).await[0].to_string();
    in_state(&dispatcher, "told.blocks", HandlerState::Stuck).await;
    let line = log
        .line_with(&["told.blocks", &id, "blocks its thread"])
        .await;
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    // For this attempt and the next: it was too late, and is made again.
    drop(release);
    log.line_with(&["told.blocks", &id, "gave its thread back"])
        .await;
    stage.settled("told.blocks").await;
    assert_eq!(
        *told.0.lock().unwrap(),
        [
            ("told.blocks".to_owned(), true),
            ("told.blocks".to_owned(), false)
        ]
    );
}

#[derive(Default)]
struct Told(Mutex<Vec<(String, bool)>>);

impl Observer for Told {
    fn attempted(&self, _attempted: &Attempted<'_>) {}

    fn stuck(&self, handler: &str, stuck: bool) {
        self.0.lock().unwrap().push((handler.to_owned(), stuck));
    }
}

#[tokio::test]
async fn each_outcome_is_one_line_with_its_fields_and_nothing_unredacted() {
    let log = Log::listen();
    let stage = Stage::new().await;
    let told = target("told.outcomes", brisk(), |delivery| async move {
        match delivery.attempt {
            1 => retry("no answer for ada@example.org"),
            _ => Reply::Dead {
                chain: vec!["refused".to_owned(), "no user ada@example.org".to_owned()],
            },
        }
    });
    let redact = Arc::new(|text: &str| text.replace("ada@example.org", "[email]"));
    let _dispatcher = stage
        .start_with(
            DispatchOptions {
                redact,
                ..DispatchOptions::default()
            },
            vec![told],
        )
        .await;
    let id = stage.publish(1).await[0].to_string();
    stage.dead(1).await;
    let retried = log
        .line_with(&["\"WARN\"", "told.outcomes", &id, "\"attempt\":1"])
        .await;
    assert!(
        retried.contains("\"backoff_ms\":") && retried.contains("no answer for [email]"),
        "{retried}"
    );
    let dead = log
        .line_with(&["\"ERROR\"", "told.outcomes", &id, "\"attempt\":2"])
        .await;
    assert!(
        dead.contains("dead letter") && dead.contains("no user [email]"),
        "{dead}"
    );
    assert!(!log.text().contains("ada@example.org"));
}
