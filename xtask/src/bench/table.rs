//! Figures against their targets, as `BENCHMARKS.md` keeps them.

use std::fmt::Write as _;

/// One figure.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) median: f64,
    pub(super) worst: f64,
    pub(super) unit: &'static str,
    /// `None`: said, not judged.
    pub(super) target: Option<f64>,
    pub(super) at_least: bool,
    pub(super) runs: usize,
}

impl Row {
    /// The median of what was measured should be at most this.
    pub(super) fn at_most(what: &str, unit: &'static str, target: f64, measured: Vec<f64>) -> Self {
        Self::judged(what, unit, Some(target), false, measured)
    }

    /// The median of what was measured should be at least this.
    pub(super) fn at_least(
        what: &str,
        unit: &'static str,
        target: f64,
        measured: Vec<f64>,
    ) -> Self {
        Self::judged(what, unit, Some(target), true, measured)
    }

    /// What was measured has no target.
    pub(super) fn said(what: &str, unit: &'static str, measured: Vec<f64>) -> Self {
        Self::judged(what, unit, None, false, measured)
    }

    fn judged(
        what: &str,
        unit: &'static str,
        target: Option<f64>,
        at_least: bool,
        mut measured: Vec<f64>,
    ) -> Self {
        measured.sort_unstable_by(f64::total_cmp);
        let last = measured.len() - 1;
        Self {
            what: what.to_owned(),
            median: measured[measured.len() / 2],
            worst: measured[if at_least { 0 } else { last }],
            unit,
            target,
            at_least,
            runs: measured.len(),
        }
    }

    pub(super) fn is_missed(&self) -> bool {
        self.target.is_some_and(|target| {
            if self.at_least {
                self.median < target
            } else {
                self.median > target
            }
        })
    }
}

/// A table under its heading.
pub(super) fn table(heading: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "\n## {heading}\n\n| what | median | worst | runs | target |\n|---|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let (what, runs) = (&row.what, row.runs);
        let (median, worst) = (figure(row.median, row.unit), figure(row.worst, row.unit));
        let target = row.target.map_or_else(String::new, |target| {
            let sign = if row.at_least { '≥' } else { '≤' };
            let missed = if row.is_missed() { " **missed**" } else { "" };
            format!("{sign} {}{missed}", figure(target, row.unit))
        });
        writeln!(text, "| {what} | {median} | {worst} | {runs} | {target} |")
            .expect("writing to a string cannot fail");
    }
    text
}

fn figure(value: f64, unit: &str) -> String {
    match unit {
        "×" => format!("{value:.3}×"),
        "µs" if value < 0.1 => format!("{:.1} ns", value * 1e3),
        "/s" => format!("{value:.0} /s"),
        _ if value >= 100.0 => format!("{value:.0} {unit}"),
        _ => format!("{value:.1} {unit}"),
    }
}
