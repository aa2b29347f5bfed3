//! `coordinator graph`: the wiring drawn, from the configuration and the plugins' files; nothing is started.

use clap::{Args, ValueEnum};
use coordinator_wiring::{Graph, Severity};

use super::exit::{Failure, OK, PLUGIN, PROBLEMS};
use super::options::{Format, Options};
use super::output;

/// Draws what comes from where and goes to whom.
#[derive(Debug, Args)]
pub(crate) struct Draw {
    /// How [default: mermaid; json with `--output json`]
    #[arg(long, value_enum)]
    format: Option<Form>,
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
        let config = options.config()?;
        let report = crate::app::check(&config);
        let usual = match options.output {
            Format::Json => Form::Json,
            Format::Table => Form::Mermaid,
        };
        let Some(wiring) = &report.wiring else {
            for finding in &report.findings {
                output::note(&finding.to_string())?;
            }
            return Err(Failure::new(
                PROBLEMS,
                "the wiring has errors\n  (see `coordinator check`)",
            ));
        };
        let graph = Graph::of(wiring, &config.wiring.schedules);
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
        let errors = report.findings.iter();
        let errors = errors.filter(|finding| finding.severity == Severity::Error);
        for finding in errors {
            output::note(&finding.to_string())?;
        }
        Ok(if refused.count() > 0 { PLUGIN } else { OK })
    }
}
