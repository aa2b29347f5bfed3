//! What delivery costs: journal and dispatcher with native handlers, one case for each process, so that memory is its own.
//!
//! In: the name of a case and its measures. Out: one JSON object of figures, for `cargo xtask bench`.
//! Not here: what is compared with what, and the targets (see `xtask`); plugins and HTTP (see `coordinator-bench`).
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod disk;
mod engine;
mod load;
mod memory;
mod paced;
mod plot;
mod raw_redis;
mod raw_sqlite;
#[path = "../../../../crates/journal/tests/redis/server.rs"]
#[expect(
    clippy::unwrap_used,
    dead_code,
    reason = "it is the server of the tests"
)]
mod server;
mod stage;
mod waiting;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use engine::Kind;

/// The measures of a case. Each case reads those that it knows.
#[derive(Debug, Clone)]
struct Measures {
    /// What stores the messages.
    engine: Kind,
    /// An empty folder on the disk to be measured.
    dir: PathBuf,
    /// How many messages.
    messages: usize,
    /// Handlers that each get every message.
    handlers: usize,
    /// Types that the messages are spread over.
    types: usize,
    /// Messages that wait for a handler that does not take them.
    backlog: usize,
    /// Of a hundred messages so many fail once.
    failing: u64,
    /// Messages of one call.
    batch: usize,
    /// Messages a second, and for so many seconds.
    rate: u64,
    seconds: u64,
    /// Does each message have an idempotency key?
    keys: bool,
}

impl Measures {
    fn read(arguments: &[String]) -> Result<Self> {
        let text = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1)
        };
        let number = |name: &str, otherwise: u64| match text(name) {
            Some(text) => text
                .parse()
                .with_context(|| format!("`{name}` is not a number")),
            None => Ok(otherwise),
        };
        let size = |name: &str, otherwise: u64| {
            number(name, otherwise).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
        };
        Ok(Self {
            engine: text("--engine").map_or(Ok(Kind::Sqlite), |name| name.parse())?,
            dir: text("--dir").context("expected --dir")?.into(),
            messages: size("--messages", 100_000)?,
            handlers: size("--handlers", 1)?,
            types: size("--types", 1)?,
            backlog: size("--backlog", 0)?,
            failing: number("--failing", 0)?,
            batch: size("--batch", 1)?.max(1),
            rate: number("--rate", 1_000)?,
            seconds: number("--seconds", 10)?,
            keys: arguments.iter().any(|argument| argument == "--keys"),
        })
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((case, rest)) = arguments.split_first() else {
        bail!("expected a case: load, paced, waiting, raw, disk or plot");
    };
    if let ("plot", [into]) = (case.as_str(), rest) {
        return plot::draw(into.as_ref());
    }
    let measures = Measures::read(rest)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let figures = runtime.block_on(async {
        match case.as_str() {
            "load" => load::measure(&measures).await,
            "paced" => paced::measure(&measures).await,
            "waiting" => waiting::measure(&measures).await,
            "raw" if measures.engine == Kind::Sqlite => raw_sqlite::measure(&measures).await,
            "raw" => raw_redis::measure(&measures).await,
            "disk" => disk::measure(&measures.dir),
            other => bail!("there is no case `{other}`"),
        }
    })?;
    println!("{figures}");
    Ok(())
}
