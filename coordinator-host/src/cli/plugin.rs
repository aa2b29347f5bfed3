//! `coordinator plugin`: which the host runs, what a file would do, which files are trusted, a new one.

mod inspect;
mod lock;
mod new;

use clap::Subcommand;
use serde::Deserialize;

use super::exit::{Failure, OK};
use super::options::{Format, Options};
use super::output;

/// Looks at plugins. `inspect` and `lock` read files and run none of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Lists the plugins of the running host.
    List,
    /// Says what a plugin file would do; runs none of it.
    Inspect(inspect::Inspect),
    /// Writes the hashes of plugin files to the lock file; `trust.policy = "locked"` loads no others.
    Lock(lock::Lock),
    /// Begins a plugin: a folder that builds and passes its tests.
    New(new::New),
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Running>,
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
}

impl Plugin {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        match self {
            Self::List => list(options),
            Self::Inspect(inspect) => inspect.run(options),
            Self::Lock(lock) => lock.run(options),
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
    let Answer { items } = reply.read()?;
    let failed: Vec<String> = items
        .iter()
        .filter_map(|plugin| Some(format!("{}: {}", plugin.name, plugin.error.as_ref()?)))
        .collect();
    let rows = items.into_iter().map(|running| {
        let [plugin, version, mount, path] =
            [running.plugin, running.version, running.mount, running.path]
                .map(Option::unwrap_or_default);
        [running.name, running.state, plugin, version, mount, path]
    });
    output::table(
        ["NAME", "STATE", "PLUGIN", "VERSION", "MOUNT", "FILE"],
        rows,
        "no plugin is configured",
    )?;
    for error in failed {
        output::note(&error)?;
    }
    Ok(OK)
}
