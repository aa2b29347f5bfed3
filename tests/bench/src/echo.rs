//! The echo plugin, started as a host starts plugins, under as many names as are asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use coordinator_cache::{Cache, CacheOptions};
use coordinator_config::{Config, Sources};
use coordinator_context::{Opening, Plugin, Publisher, Services};
use coordinator_dispatch::PipelineTable;
use coordinator_egress::{Egress, EgressOptions, HostPolicy};
use coordinator_journal::sqlite::{SqliteJournal, SqliteOptions};
use coordinator_journal::{Durability, Journal, Limits, SystemClock};
use coordinator_loader::{Loader, Trust};
use coordinator_wiring::{Installed, Wiring};

/// Its running instances, and what they were started with.
pub(crate) struct Echo {
    /// In the order of their names.
    pub(crate) plugins: Vec<Arc<Plugin>>,
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) publisher: Publisher,
}

impl Echo {
    /// Starts `names` of the file at `path`, each mounted at its name, with a journal in the folder `data`.
    pub(crate) async fn start(path: &Path, data: &Path, names: &[&str]) -> Result<Self> {
        let loaded = Loader::new(Trust::Any).load(path)?;
        let none = std::iter::empty::<(String, String)>();
        let config = Config::load(&Sources::new(None, none))?;
        let mounts: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
        let installed: Vec<_> = names
            .iter()
            .zip(&mounts)
            .map(|(name, mount)| Installed {
                name,
                mount,
                manifest: loaded.manifest(),
            })
            .collect();
        let (wiring, _) = Wiring::build(&installed, &[], &config.dispatch, &config.wiring)
            .map_err(|findings| anyhow::anyhow!("the echo plugin cannot be wired: {findings:?}"))?;
        let wiring = Arc::new(wiring);
        let journal: Arc<dyn Journal> = Arc::new(journal(data).await?);
        let publisher = Publisher::new(journal, Arc::clone(&wiring));
        let services = services(&config, publisher.clone())?;
        services.flags.replace(&wiring.flags, &config.flags);
        let mut plugins = Vec::new();
        for name in names {
            let opening = Opening {
                name: (*name).to_owned(),
                loaded: Arc::clone(&loaded),
                settings: serde_json::json!({}),
                policy: HostPolicy::new(*name, [], [])?,
                services: services.clone(),
            };
            plugins.push(Plugin::start(opening).await?);
        }
        Ok(Self {
            plugins,
            wiring,
            publisher,
        })
    }
}

fn services(config: &Config, publisher: Publisher) -> Result<Services> {
    let cache = CacheOptions {
        url: "memory:".to_owned(),
        prefix: "bench".to_owned(),
        max_bytes: 1 << 20,
        max_connections: 1,
        timeout: Duration::from_secs(1),
    };
    Ok(Services {
        publisher,
        egress: Egress::new(&EgressOptions::from(&config.egress))?,
        pipelines: Arc::new(PipelineTable::default()),
        flags: Arc::default(),
        cache: Cache::open(&cache)?,
        io: tokio::runtime::Handle::current(),
    })
}

async fn journal(dir: &Path) -> Result<SqliteJournal> {
    let options = SqliteOptions {
        dir: dir.to_owned(),
        durability: Durability::Relaxed,
        limits: Limits {
            retention: Duration::from_secs(3_600),
            max_size: 1 << 30,
            max_backlog: 1_000,
            ..Limits::default()
        },
        clock: Arc::new(SystemClock),
    };
    Ok(SqliteJournal::open(options).await?)
}
