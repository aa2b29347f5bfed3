//! What plugins measure themselves: under the name of their instance, and bounded, for what an author counts is not
//! known here.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Label};

use super::raw;

/// Measures of one instance at most: each name with each set of labels counts as one.
const MAX_SERIES: usize = 1_000;
/// Labels of one measure at most.
const MAX_LABELS: usize = 8;
/// Longest name, label or value, bytes.
const MAX_TEXT: usize = 100;

/// What the plugin asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Adds to a sum that only grows.
    Count,
    /// This is the value now.
    Set,
    /// One more observation.
    Observe,
}

/// The measures of one plugin instance.
pub struct PluginMeter {
    prefix: String,
    series: RwLock<HashMap<Series, Instrument>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Series {
    measure: Measure,
    name: String,
    labels: Vec<(String, String)>,
}

enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl PluginMeter {
    /// Of this instance: its measures are called `plugin_INSTANCE_NAME`.
    #[must_use]
    pub fn new(instance: &str) -> Self {
        Self {
            prefix: format!("plugin_{}_", instance.replace('-', "_")),
            series: RwLock::default(),
        }
    }

    /// Measures once. False if it was refused: a name or a label that cannot be one, a value that makes no sense, or
    /// more different ones than a plugin may have.
    pub fn measure<'a>(
        &self,
        measure: Measure,
        name: &str,
        value: f64,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> bool {
        let labels = labels
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect();
        let series = Series {
            measure,
            name: name.to_owned(),
            labels,
        };
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(instrument) = known.get(&series) {
            return instrument.take(value);
        }
        drop(known);
        if !series.is_sound() {
            return false;
        }
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        // One name is one kind of measure: Prometheus knows no other.
        let other_kind = |it: &Series| it.name == series.name && it.measure != measure;
        if known.len() >= MAX_SERIES || known.keys().any(other_kind) {
            return false;
        }
        let instrument = series.instrument(&self.prefix);
        let taken = instrument.take(value);
        known.insert(series, instrument);
        taken
    }
}

impl Series {
    fn is_sound(&self) -> bool {
        let is_name = |text: &str| {
            text.len() <= MAX_TEXT
                && text.starts_with(|first: char| first.is_ascii_lowercase())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let mut labels = self.labels.iter();
        is_name(&self.name)
            && self.labels.len() <= MAX_LABELS
            && labels.all(|(label, value)| is_name(label) && value.len() <= MAX_TEXT)
    }

    fn instrument(&self, prefix: &str) -> Instrument {
        let name = format!("{prefix}{}", self.name);
        let labels: Vec<Label> = self
            .labels
            .iter()
            .map(|(label, value)| Label::new(label.clone(), value.clone()))
            .collect();
        match self.measure {
            Measure::Count => Instrument::Counter(raw::named_counter(name, labels)),
            Measure::Set => Instrument::Gauge(raw::named_gauge(name, labels)),
            Measure::Observe => Instrument::Histogram(raw::named_histogram(name, labels)),
        }
    }
}

impl Instrument {
    fn take(&self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        match self {
            Self::Counter(counter) => {
                if value < 0.0 || value.fract() != 0.0 || value > MOST_AT_ONCE {
                    return false;
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole, not negative and within 2^53: checked above"
                )]
                counter.increment(value as u64);
            }
            Self::Gauge(gauge) => gauge.set(value),
            Self::Histogram(histogram) => histogram.record(value),
        }
        true
    }
}

/// Up to here a double counts in whole numbers: 2^53.
const MOST_AT_ONCE: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_measures_under_its_name_and_within_bounds() {
        let recorder = super::super::builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let meter = PluginMeter::new("legacy-lms");
            let psp = || [("psp", "stripe")].into_iter();
            let none = std::iter::empty;
            assert!(meter.measure(Measure::Count, "orders", 2.0, psp()));
            assert!(meter.measure(Measure::Count, "orders", 3.0, psp()));
            assert!(meter.measure(Measure::Set, "open", 1.5, none()));
            assert!(meter.measure(Measure::Observe, "wait_seconds", 0.2, none()));
            assert!(
                !meter.measure(Measure::Set, "orders", 1.0, none()),
                "it is a counter"
            );
            assert!(!meter.measure(Measure::Count, "orders", -1.0, psp()));
            assert!(!meter.measure(Measure::Set, "open", f64::NAN, none()));
            assert!(!meter.measure(Measure::Set, "not a name", 1.0, none()));
            let many = (0..2 * MAX_SERIES).filter(|n| {
                let n = n.to_string();
                meter.measure(Measure::Set, "many", 1.0, [("n", n.as_str())].into_iter())
            });
            assert_eq!(many.count(), MAX_SERIES - 3);
        });
        let text = handle.render();
        for line in [
            r#"plugin_legacy_lms_orders{psp="stripe"} 5"#,
            "plugin_legacy_lms_open 1.5",
        ] {
            assert!(
                text.lines().any(|each| each == line),
                "{line} is not in:\n{text}"
            );
        }
    }
}
