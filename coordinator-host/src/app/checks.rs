//! What plugins check themselves, for `coordinator check`: each that has checks is started, asked and stopped, with a
//! journal and a cache that are thrown away. A check cannot publish, and a running host does not notice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coordinator_cache::{Cache, CacheOptions};
use coordinator_config::Config;
use coordinator_context::{Flags, Publisher, Services};
use coordinator_dispatch::PipelineTable;
use coordinator_egress::{Egress, EgressOptions};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{Durability, Journal, Limits, SystemClock};
use coordinator_loader::Loaded;
use coordinator_message::{MessageId, Timestamp};
use coordinator_wiring::{Finding, Severity, Wiring};

use super::error::AppError;
use super::generation::{Generation, Numbers};
use super::settings;

/// What the checks of these plugins find. A plugin that does not start is a finding too.
pub(super) async fn ask(
    config: &Config,
    wiring: &Arc<Wiring>,
    loaded: &[(String, Arc<Loaded>)],
) -> Vec<Finding> {
    let dir = Throwaway::new();
    let services = match services(config, wiring, &dir.0).await {
        Ok(services) => services,
        Err(error) => {
            let text = error.to_string();
            return vec![finding("checks", "the plugins' own checks", text)];
        }
    };
    let mut findings = Vec::new();
    let with_checks = loaded
        .iter()
        .filter(|(_, file)| !file.manifest().checks.is_empty());
    for (name, file) in with_checks {
        match start(config, name, file, &services).await {
            Ok(generation) => {
                // They were asked when it started.
                findings.extend(generation.plugin.findings());
                generation.stop().await;
            }
            Err(reason) => findings.push(finding("plugin-start", name, reason)),
        }
    }
    services.publisher.journal().close().await;
    findings
}

async fn start(
    config: &Config,
    name: &str,
    file: &Arc<Loaded>,
    services: &Services,
) -> Result<Arc<Generation>, String> {
    let read = settings::read(config, name, file.manifest());
    let settings = read.map_err(|errors| errors.to_string())?;
    let plugin = config.plugins.get(name).ok_or("it is not configured")?;
    let mut numbers = Numbers::default();
    let file = Arc::clone(file);
    Generation::start(plugin, file, settings, services, &mut numbers, false).await
}

async fn services(config: &Config, wiring: &Arc<Wiring>, dir: &Path) -> Result<Services, AppError> {
    let unusable = |source| AppError::DataDir {
        dir: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let journal = SqliteJournal::open(SqliteOptions {
        dir: dir.to_owned(),
        durability: Durability::Relaxed,
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
    });
    let journal: Arc<dyn Journal> = Arc::new(journal.await.map_err(AppError::Journal)?);
    let flags = Flags::default();
    flags.replace(&wiring.flags, &config.flags);
    let cache = CacheOptions {
        url: "memory:".to_owned(),
        prefix: String::new(),
        max_bytes: config.cache.max_size.bytes(),
        max_connections: config.cache.max_connections,
        timeout: config.cache.timeout,
    };
    Ok(Services {
        publisher: Publisher::new(journal, Arc::clone(wiring)),
        egress: Egress::new(&EgressOptions::from(&config.egress)).map_err(AppError::Egress)?,
        pipelines: Arc::new(PipelineTable::default()),
        flags: Arc::new(flags),
        cache: Cache::open(&cache).map_err(AppError::Cache)?,
        io: tokio::runtime::Handle::current(),
    })
}

fn finding(id: &'static str, subject: &str, message: String) -> Finding {
    Finding {
        id: id.into(),
        severity: Severity::Error,
        subject: subject.to_owned(),
        message,
        hint: "`coordinator check --no-start` leaves the plugins' own checks out".to_owned(),
    }
}

/// A folder that goes with the value.
struct Throwaway(PathBuf);

impl Throwaway {
    fn new() -> Self {
        let name = format!("coordinator-check-{}", MessageId::new(Timestamp::now()));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // What the system's own cleaning finds is empty of anybody's data.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
