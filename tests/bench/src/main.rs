//! What the plugin boundary costs: ratios of runs in turn (native, plugin, native, plugin …), and the loading of files.
//!
//! In: the path of the release `libcoordinator_echo.so`. Out: one JSON line a figure, for `cargo xtask bench`.
//! Not here: starts, memory and commands, which are measured from outside.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its output is its result")]

mod call;
mod echo;
mod files;
mod load;
mod native;
mod pipeline;
mod route;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let plugin: PathBuf = std::env::args_os()
        .nth(1)
        .context("expected the path of libcoordinator_echo.so")?
        .into();
    print(
        "a call, ready future, over Box<dyn Future>",
        "×",
        &call::ready(),
        Bound::AtMost(1.3),
    );
    print(
        "a call awaiting one host future, over Box<dyn Future>",
        "×",
        &call::awaiting(),
        Bound::AtMost(1.7),
    );
    print(
        "plugin route over native route, requests/s",
        "×",
        &route::measure(&plugin)?,
        Bound::AtLeast(0.9),
    );
    print(
        "a pipeline of 5 steps from 3 plugins, beyond twice the native functions",
        "µs",
        &pipeline::measure(&plugin)?,
        Bound::AtMost(5.0),
    );
    print(
        "a look at a flag, inside a plugin",
        "µs",
        &pipeline::flag(&plugin)?,
        Bound::AtMost(1.0),
    );
    print(
        "a log event that nobody wants, inside a plugin",
        "µs",
        &pipeline::disabled_event(&plugin)?,
        Bound::AtMost(0.005),
    );
    print(
        "100 plugin files: read, checked, mapped, described",
        "ms",
        &files::load(&plugin)?,
        Bound::AtMost(300.0),
    );
    Ok(())
}

/// What the figure should be.
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// The median and the worst of the runs.
fn print(what: &str, unit: &str, measured: &[f64], bound: Bound) {
    let mut sorted = measured.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let (worst, target, at_least) = match bound {
        Bound::AtMost(target) => (sorted[sorted.len() - 1], target, false),
        Bound::AtLeast(target) => (sorted[0], target, true),
    };
    let line = serde_json::json!({
        "what": what, "unit": unit, "median": median, "worst": worst, "target": target, "at_least": at_least,
        "runs": measured.len(),
    });
    println!("{line}");
}
