//! `coordinator migrate-journal`: everything that is not settled, into the other engine.
//!
//! The host stands still meanwhile. Nothing is deleted at the source, and what the target has already is left as it is:
//! a move that broke off is simply repeated. Settled messages are not moved.

mod counts;

use std::io;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use coordinator_config::{Config, Engine};
use coordinator_journal::{Journal, JournalError};
use serde_json::json;

use self::counts::Counts;
use super::confirm::confirmed;
use super::exit::{CONFIG, Failure, OK, PROBLEMS, UNAVAILABLE, USAGE};
use super::options::{Format, Options};
use super::{output, progress};
use crate::app::{self, AppError};

/// Moves the journal into the other engine, while no host runs on either.
#[derive(Debug, Args)]
pub(crate) struct MigrateJournal {
    /// The engine to move to; `journal.engine` says where it is now.
    #[arg(long, value_enum)]
    to: Target,
    /// Count what would be moved, and move nothing.
    #[arg(long)]
    dry_run: bool,
    /// Without asking.
    #[arg(long)]
    yes: bool,
}

/// The engines, as the configuration calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A file in `server.data_dir`.
    Sqlite,
    /// The server of `[journal.redis]`.
    Redis,
}

#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error(
        "the journal is in `{0}` already\n  (`journal.engine` names where it is now, --to where it shall be)"
    )]
    Already(&'static str),
    #[error(
        "`[journal.redis]` says no `url`\n  (the configuration must know both engines; leave `journal.engine` as it is)"
    )]
    NoUrl,
    #[error("failed to open the journal in `{engine}`\n  (no host may run on it meanwhile)")]
    Open {
        engine: &'static str,
        #[source]
        source: AppError,
    },
    #[error(
        "a host runs on the journal in `{engine}`: {what}\n  (stop every host that runs on it; one that was killed is forgotten after ten seconds)"
    )]
    Served { engine: &'static str, what: String },
    #[error("failed to read the journal in `{engine}`\n  (stop every host that runs on it)")]
    Read {
        engine: &'static str,
        #[source]
        source: JournalError,
    },
    #[error(
        "failed to write the journal in `{engine}`\n  (what is moved stays moved: repeat the command)"
    )]
    Write {
        engine: &'static str,
        #[source]
        source: JournalError,
    },
    #[error(
        "the journal in `{0}` has fewer records than its source\n  (nothing was deleted: repeat the command)"
    )]
    Fewer(&'static str),
    #[error("failed to start the threads of the move")]
    NoRuntime(#[source] io::Error),
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let code = match &error {
            MoveError::Already(_) => USAGE,
            MoveError::NoUrl | MoveError::Served { .. } => CONFIG,
            MoveError::Open { source, .. } => source.exit_code(),
            MoveError::Fewer(_) => PROBLEMS,
            MoveError::Read { .. } | MoveError::Write { .. } | MoveError::NoRuntime(_) => {
                UNAVAILABLE
            }
        };
        Self::new(code, error)
    }
}

/// One of the two journals.
struct Side {
    engine: &'static str,
    journal: Arc<dyn Journal>,
}

impl MigrateJournal {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let config = options.config()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(MoveError::NoRuntime)?;
        runtime.block_on(self.migrate(config, options))
    }

    async fn migrate(&self, mut config: Config, options: &Options) -> Result<u8, Failure> {
        let to = self.to.engine();
        if config.journal.engine == to {
            return Err(MoveError::Already(name(to)).into());
        }
        if self.to == Target::Redis && config.journal.redis.url.is_none() {
            return Err(MoveError::NoUrl.into());
        }
        let source = Side::open(&config).await?;
        config.journal.engine = to;
        let moved = self.from(&source, &config, options).await;
        source.journal.close().await;
        moved
    }

    async fn from(&self, source: &Side, there: &Config, options: &Options) -> Result<u8, Failure> {
        let counted = source.count().await?;
        if self.dry_run {
            tell(
                source.engine,
                &counted,
                name(self.to.engine()),
                None,
                options,
            )?;
            return Ok(OK);
        }
        let to = name(self.to.engine());
        let question = format!(
            "Move {} records from `{}` to `{to}`?",
            counted.records(),
            source.engine
        );
        if !confirmed(&question, self.yes)? {
            return Ok(OK);
        }
        let target = Side::open(there).await?;
        let arrived = fill(source, &target, &counted).await;
        target.journal.close().await;
        let arrived = arrived?;
        tell(source.engine, &counted, to, Some(&arrived), options)?;
        if !arrived.covers(&counted) {
            return Err(MoveError::Fewer(to).into());
        }
        output::note(&format!(
            "set `journal.engine = \"{to}\"` and start the host; the journal in `{}` is as it was, and must not be \
             served again",
            source.engine
        ))?;
        Ok(OK)
    }
}

/// Copies every record, and counts what is there then.
async fn fill(source: &Side, target: &Side, counted: &Counts) -> Result<Counts, MoveError> {
    let bar = progress::counting("moving", counted.records());
    let mut cursor = None;
    loop {
        let page = source.journal.export(cursor).await;
        let page = page.map_err(|error| source.unreadable(error))?;
        let records = page.items.len() as u64;
        let written = target.journal.import(page.items).await;
        written.map_err(|error| MoveError::Write {
            engine: target.engine,
            source: error,
        })?;
        bar.add(records);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    drop(bar);
    target.count().await
}

impl Side {
    async fn open(config: &Config) -> Result<Self, MoveError> {
        let engine = name(config.journal.engine);
        let journal = app::open_journal(config).await;
        let journal = journal.map_err(|source| MoveError::Open { engine, source })?;
        let side = Self { engine, journal };
        match side.served_by().await {
            Ok(None) => Ok(side),
            other => {
                side.journal.close().await;
                Err(match other {
                    Err(error) => side.unreadable(error),
                    Ok(what) => MoveError::Served {
                        engine,
                        what: what.unwrap_or_default(),
                    },
                })
            }
        }
    }

    /// What another process does with it: engines that only one process can use say so when they are opened.
    async fn served_by(&self) -> Result<Option<String>, JournalError> {
        let stats = self.journal.stats().await?;
        let mut open = stats.handlers.into_iter().filter(|handler| handler.open);
        Ok(match (open.next(), stats.nodes) {
            (Some(handler), _) => Some(format!("it has `{}` open", handler.handler)),
            (None, 0) => None,
            (None, _) => Some("it has no handlers, and may publish".to_owned()),
        })
    }

    async fn count(&self) -> Result<Counts, MoveError> {
        let _waiting = progress::waiting(&format!("counting what is in `{}`", self.engine));
        let mut counts = Counts::default();
        let mut cursor = None;
        loop {
            let page = self.journal.export(cursor).await;
            let page = page.map_err(|error| self.unreadable(error))?;
            page.items.iter().for_each(|record| counts.add(record));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(counts);
            }
        }
    }

    fn unreadable(&self, source: JournalError) -> MoveError {
        MoveError::Read {
            engine: self.engine,
            source,
        }
    }
}

impl Target {
    fn engine(self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Redis => Engine::Redis,
        }
    }
}

fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite",
        Engine::Redis => "redis",
    }
}

/// Prints what was counted at both sides, or at the source alone.
fn tell(
    from: &str,
    source: &Counts,
    to: &str,
    target: Option<&Counts>,
    options: &Options,
) -> Result<(), output::PrintError> {
    if options.output == Format::Json {
        return output::json(&json!({
            "from": from,
            "to": to,
            "source": source,
            "target": target,
            "complete": target.map(|target| target.covers(source)),
        }));
    }
    let rows = source.rows(target).map(|row| {
        let there = row.there.map(|there| there.to_string()).unwrap_or_default();
        [row.what, row.here.to_string(), there]
    });
    output::table(["WHAT", from, to], rows, "the journal is empty")
}
