//! `coordinator graph`: the wiring drawn, from what a host would run and the plugins' files; nothing is started.

use clap::{Args, ValueEnum};
use coordinator_wiring::Graph;

use super::exit::{Failure, OK, PLUGIN, PROBLEMS};
use super::looked_at::LookedAt;
use super::options::{Format, Options};
use super::output;

/// Draws what comes from where and goes to whom, with what was installed and set on the running host.
#[derive(Debug, Args)]
pub(crate) struct Draw {
    /// How [default: mermaid; json with `--output json`]
    #[arg(long, value_enum)]
    format: Option<Form>,
    #[command(flatten)]
    looked_at: LookedAt,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// For Markdown, as GitHub and GitLab draw it.
    Mermaid,
    /// For Graphviz: `coordinator graph --format dot | dot -Tsvg > wiring.svg`.
    Dot,
    /// For programs.
    Json,
}

impl Draw {
    pub(crate) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let decided = self.looked_at.read(options)?;
        let report = crate::app::check(&decided);
        let usual = match options.output {
            Format::Json => Form::Json,
            Format::Table => Form::Mermaid,
        };
        let Some(wiring) = &report.wiring else {
            for found in &report.findings {
                output::note(&found.finding.to_string())?;
            }
            return Err(Failure::new(
                PROBLEMS,
                "the wiring has errors\n  (see `coordinator check`)",
            ));
        };
        let graph = Graph::of(wiring, &decided.config.wiring.schedules);
        match self.format.unwrap_or(usual) {
            Form::Mermaid => output::line(graph.mermaid().trim_end())?,
            Form::Dot => output::line(graph.dot().trim_end())?,
            Form::Json => output::json(&graph)?,
        }
        // What is drawn is drawn; what is missing from it is said beside it.
        let refused = report.plugins.iter().filter(|plugin| !plugin.ok);
        for plugin in refused.clone() {
            let error = plugin.error.as_deref().unwrap_or_default();
            output::note(&format!("not drawn: plugin `{}`: {error}", plugin.name))?;
        }
        for found in report.findings.iter().filter(|found| found.is_error()) {
            output::note(&found.finding.to_string())?;
        }
        Ok(if refused.count() > 0 { PLUGIN } else { OK })
    }
}
