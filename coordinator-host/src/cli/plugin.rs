//! `coordinator plugin`: which the host runs, what a file would do, which files are trusted and signed, a new one.

mod inspect;
mod keygen;
mod live;
mod lock;
mod new;
mod password;
mod sign;
mod uninstall;
mod verify;

use clap::Subcommand;
use serde::Deserialize;

use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;

/// Looks at plugins, and changes what the running host has. `inspect`, `verify`, `lock` and `sign` read files and run
/// none of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Lists the plugins of the running host.
    List,
    /// Installs a plugin on the running host: checked, started, and in force without a restart.
    Install(live::Install),
    /// Gives a plugin another file; what runs is finished at the old one, and a bad new one changes nothing.
    Upgrade(live::Upgrade),
    /// Gives a plugin the file back that it had before its last upgrade.
    Rollback(live::Named),
    /// Switches a plugin on.
    Enable(live::Named),
    /// Switches a plugin off; its messages wait for it.
    Disable(live::Named),
    /// Gives this host the file of a plugin that was installed on another host of the same database.
    Bring(live::Bring),
    /// Takes an installed plugin away, with its settings; what waits for it is kept for one retention, then given up.
    Uninstall(live::Named),
    /// Says what a plugin file would do; runs none of it.
    Inspect(inspect::Inspect),
    /// Writes the hashes of plugin files to the lock file; `trust.policy = "locked"` loads no others.
    Lock(lock::Lock),
    /// Makes a key pair that signs plugin files, in minisign's form.
    Keygen(keygen::Keygen),
    /// Signs a plugin file, so that hosts with `trust.policy = "signed"` load it.
    Sign(sign::Sign),
    /// Says whether the host would load a file, and why not; runs none of it.
    Verify(verify::Verify),
    /// Begins a plugin: a folder that builds and passes its tests.
    New(new::New),
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Running>,
    #[serde(default)]
    restart_advised: bool,
    #[serde(default)]
    mapped_files: u64,
}

#[derive(Deserialize)]
struct Running {
    name: String,
    plugin: Option<String>,
    version: Option<String>,
    state: String,
    path: Option<String>,
    mount: Option<String>,
    error: Option<String>,
    #[serde(default)]
    isolation: Option<String>,
    #[serde(default)]
    generation: Option<u64>,
    #[serde(default)]
    memory_bytes: Option<u64>,
    #[serde(default)]
    on_disk: OnDisk,
    #[serde(default)]
    retiring: Vec<Retiring>,
    missing: Option<Missing>,
}

/// A file that another host installed, and this one has not.
#[derive(Deserialize)]
struct Missing {
    version: String,
    sha256: String,
}

/// The file as it is now, which may be another one than what is loaded.
#[derive(Default, Deserialize)]
struct OnDisk {
    version: Option<String>,
    #[serde(default)]
    loaded: bool,
}

/// A generation whose last requests and deliveries are being finished.
#[derive(Deserialize)]
struct Retiring {
    generation: u64,
}

impl Running {
    fn generations(&self) -> String {
        let now = self.generation.map(|number| number.to_string());
        let old = self
            .retiring
            .iter()
            .map(|old| format!("{} (ending)", old.generation));
        now.into_iter().chain(old).collect::<Vec<_>>().join(", ")
    }

    fn row(self) -> [String; 10] {
        let (generations, disk) = (self.generations(), self.disk());
        let memory = self.memory_bytes.map(mebibytes);
        let [plugin, version, mount, path, isolation, memory] = [
            self.plugin,
            self.version,
            self.mount,
            self.path,
            self.isolation,
            memory,
        ]
        .map(Option::unwrap_or_default);
        [
            self.name,
            self.state,
            plugin,
            version,
            disk,
            generations,
            isolation,
            memory,
            mount,
            path,
        ]
    }

    /// Why it is not as it should be.
    fn note(&self) -> Option<String> {
        let name = &self.name;
        match (&self.error, &self.missing) {
            (Some(error), _) => Some(format!("{name}: {error}")),
            (None, Some(Missing { version, sha256 })) => Some(format!(
                "{name}: version {version} is installed, and its file is not on this host, which goes on with what it has\n  \
                 (SHA-256 {sha256}; copy the file to this machine, then `coordinator plugin bring {name} FILE` here)"
            )),
            (None, None) => None,
        }
    }

    fn disk(&self) -> String {
        match &self.on_disk.version {
            Some(_) if self.on_disk.loaded => "same".to_owned(),
            Some(version) => format!("{version} (not loaded)"),
            None => "unreadable".to_owned(),
        }
    }
}

impl Plugin {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
            Self::Install(install) => install.run(options),
            Self::Upgrade(upgrade) => upgrade.run(options),
            Self::Rollback(named) => named.run("rollback", "rolled back", options),
            Self::Enable(named) => named.run("enable", "enabled", options),
            Self::Disable(named) => named.run("disable", "disabled", options),
            Self::Bring(bring) => bring.run(options),
            Self::Uninstall(named) => uninstall::run(named, options),
            Self::Inspect(inspect) => inspect.run(options),
            Self::Lock(lock) => lock.run(options),
            Self::Keygen(keygen) => keygen.run(options),
            Self::Sign(sign) => sign.run(options),
            Self::Verify(verify) => verify.run(options),
            Self::New(new) => new.run(),
        }
    }
}

fn list(options: &Options) -> Result<u8, Failure> {
    let reply = options.client()?.get(&["plugins"], &[])?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let Answer {
        items,
        restart_advised,
        mapped_files,
    } = reply.read()?;
    let noted: Vec<String> = items.iter().filter_map(Running::note).collect();
    let rows = items.into_iter().map(Running::row);
    output::table(
        [
            "NAME",
            "STATE",
            "PLUGIN",
            "VERSION",
            "ON DISK",
            "GENERATION",
            "ISOLATION",
            "MEMORY",
            "MOUNT",
            "FILE",
        ],
        rows,
        "no plugin is configured",
    )?;
    if restart_advised {
        output::note(&format!(
            "{mapped_files} files are mapped, most of them of generations that have ended: a restart of the host frees their memory"
        ))?;
    }
    for note in noted {
        output::note(&note)?;
    }
    Ok(OK)
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
}
