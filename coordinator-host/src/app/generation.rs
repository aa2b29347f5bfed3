//! One opening of an instance: a file, its settings, and what runs of them. Another file or other settings make the
//! next one, beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordinator_config::Plugin as PluginConfig;
use coordinator_context::{Opening, Plugin, Services};
use coordinator_loader::Loaded;
use coordinator_wiring::Severity;

use super::settings::{self, Settings};

/// A plugin that does not start within this time has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// One that does not say how it is within this time is not well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Checks that do not end within this time are not waited for.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// One that does not stop within this time is left behind.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running instance, and what it was opened with.
pub(super) struct Generation {
    /// Counts the openings of this instance in this process, from 1.
    pub(super) number: u64,
    pub(super) plugin: Arc<Plugin>,
    pub(super) settings: Settings,
    allow_hosts: Vec<String>,
}

/// Which number the next generation of an instance has.
#[derive(Default)]
pub(super) struct Numbers(BTreeMap<String, u64>);

/// Generations that nothing is bound to any more. Each is stopped when what runs in it has ended.
#[derive(Default)]
pub(super) struct Retiring(Mutex<Vec<Arc<Generation>>>);

impl Generation {
    /// Opens an instance and starts it; with `probe`, it must also say that it is well.
    ///
    /// # Errors
    ///
    /// Why it does not run, as an operator reads it. Nothing of it is left then.
    pub(super) async fn start(
        config: &PluginConfig,
        loaded: Arc<Loaded>,
        settings: Settings,
        services: &Services,
        numbers: &mut Numbers,
        probe: bool,
    ) -> Result<Arc<Self>, String> {
        let policy = settings::policy(
            &config.name,
            loaded.manifest(),
            &settings.value,
            &config.allow_hosts,
        );
        let opening = Opening {
            name: config.name.clone(),
            settings: settings.value.clone(),
            policy: policy.map_err(|error| error.to_string())?,
            services: services.clone(),
            loaded,
        };
        let plugin = start(opening, services, probe).await?;
        Ok(Arc::new(Self {
            number: numbers.next(&config.name),
            plugin,
            settings,
            allow_hosts: config.allow_hosts.clone(),
        }))
    }

    /// Was it opened with just this? Then there is nothing to open anew.
    pub(super) fn is_of(
        &self,
        config: &PluginConfig,
        loaded: &Arc<Loaded>,
        settings: &Settings,
    ) -> bool {
        Arc::ptr_eq(self.plugin.loaded(), loaded)
            && self.settings.value == settings.value
            && self.allow_hosts == config.allow_hosts
    }

    /// Ends it, whatever runs in it.
    pub(super) async fn stop(&self) {
        let stopped = tokio::time::timeout(STOP_TIMEOUT, self.plugin.stop()).await;
        if stopped.is_err() {
            let name = self.plugin.name();
            tracing::warn!(
                plugin.name = name,
                generation = self.number,
                "plugin `{name}` did not stop in time: it is left behind"
            );
        }
    }
}

impl Numbers {
    fn next(&mut self, instance: &str) -> u64 {
        let number = self.0.entry(instance.to_owned()).or_default();
        *number += 1;
        *number
    }
}

impl Retiring {
    /// Stops each when nothing runs in it any more; returns when all are.
    pub(super) async fn retire(&self, generations: Vec<Arc<Generation>>) {
        self.all().extend(generations.iter().cloned());
        for generation in generations {
            let name = generation.plugin.name();
            generation.plugin.emptied().await;
            generation.stop().await;
            tracing::info!(
                plugin.name = name,
                generation = generation.number,
                "generation {} of plugin `{name}` has ended",
                generation.number
            );
            self.all().retain(|one| !Arc::ptr_eq(one, &generation));
        }
    }

    /// Those of now.
    pub(super) fn now(&self) -> Vec<Arc<Generation>> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Generation>>> {
        // Every write is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn start(opening: Opening, services: &Services, probe: bool) -> Result<Arc<Plugin>, String> {
    let name = opening.name.clone();
    // On a thread of its own: a start that blocks must not keep the host from saying so.
    let (answer, started) = tokio::sync::oneshot::channel();
    let io = services.io.clone();
    let thread = std::thread::Builder::new().name(format!("start-{name}"));
    let thread = thread.spawn(move || {
        let started = io.block_on(begin(opening, probe));
        // Nobody listens any more once the time is up.
        if let Err(Ok(late)) = answer.send(started) {
            io.block_on(async { tokio::time::timeout(STOP_TIMEOUT, late.stop()).await.ok() });
        }
    });
    thread.map_err(|error| format!("the operating system gave no thread: {error}"))?;
    let probing = if probe { PROBE_TIMEOUT } else { Duration::ZERO };
    let patience = START_TIMEOUT + CHECK_TIMEOUT + probing;
    match tokio::time::timeout(patience, started).await {
        Ok(Ok(started)) => {
            started.map_err(|reason| coordinator_telemetry::redact(&reason).into_owned())
        }
        Ok(Err(_)) => Err("its start ended without an answer".to_owned()),
        Err(_) => Err(format!("it did not start within {} s", patience.as_secs())),
    }
}

async fn begin(opening: Opening, probe: bool) -> Result<Arc<Plugin>, String> {
    let plugin = Plugin::start(opening)
        .await
        .map_err(|error| error.to_string())?;
    let reason = match check(&plugin).await {
        // When the host starts, what a check asks for may be down: its findings are told, and it serves.
        _ if !probe => return Ok(plugin),
        Some(reason) => reason,
        None => match tokio::time::timeout(PROBE_TIMEOUT, plugin.health()).await {
            Ok(Ok(())) => return Ok(plugin),
            Ok(Err(chain)) => format!("it started and is not well: {}", chain.join(": ")),
            Err(_) => format!(
                "it started and did not say within {} s how it is",
                PROBE_TIMEOUT.as_secs()
            ),
        },
    };
    tokio::time::timeout(STOP_TIMEOUT, plugin.stop()).await.ok();
    Err(reason)
}

/// Runs its checks and tells what they find; answers why it should not serve.
async fn check(plugin: &Plugin) -> Option<String> {
    let findings = plugin.check(CHECK_TIMEOUT).await;
    let mut errors = Vec::new();
    for finding in &findings {
        let text = coordinator_telemetry::redact(&finding.to_string()).into_owned();
        let (name, id) = (plugin.name(), &*finding.id);
        match finding.severity {
            Severity::Error => {
                tracing::error!(plugin.name = name, check.id = id, "{text}");
                errors.push(text);
            }
            Severity::Warning => tracing::warn!(plugin.name = name, check.id = id, "{text}"),
            Severity::Info => tracing::info!(plugin.name = name, check.id = id, "{text}"),
        }
    }
    (!errors.is_empty()).then(|| format!("its checks found errors\n{}", errors.join("\n")))
}
