//! Every metric of the host, as functions with typed labels.
//!
//! Labels are bounded: types that are known, handlers, routes (patterns), plugins. Never an id.

mod load;
mod plugin;
mod step;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use plugin::{Measure, PluginMeter};
pub use step::StepMeter;

pub use load::{HandlerLoad, JournalLoad, handler_breaker, handler_load, journal_load};

const MESSAGES_PUBLISHED: &str = "coordinator_messages_published_total";
const DELIVERIES: &str = "coordinator_deliveries_total";
const DELIVERY_SECONDS: &str = "coordinator_delivery_duration_seconds";
const HTTP_REQUESTS: &str = "coordinator_http_requests_total";
const HTTP_SECONDS: &str = "coordinator_http_request_duration_seconds";
const PLUGIN_STATE: &str = "coordinator_plugin_state";
const EGRESS_REQUESTS: &str = "coordinator_egress_requests_total";
const EGRESS_OPEN_BREAKERS: &str = "coordinator_egress_open_breakers";

/// From a cached answer to a handler at its timeout.
const BUCKETS_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// What became of a message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Stored.
    Accepted,
    /// Known by its idempotency key.
    Duplicate,
    /// Not stored: invalid, or no room.
    Refused,
}

/// How one attempt of a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Done.
    Acked,
    /// To be tried again.
    Retried,
    /// Given up, and holding its ordering key.
    Parked,
    /// Given up.
    Dead,
}

/// Where a plugin is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginState {
    /// Being loaded and checked.
    Loading,
    /// Serving.
    Ready,
    /// Not loaded, for a reason that the log tells.
    Failed,
    /// Ending.
    Draining,
    /// Ended.
    Stopped,
}

/// How an outbound call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressOutcome {
    /// Answered, whatever the status.
    Answered,
    /// Not allowed to that host.
    Forbidden,
    /// No connection, or broken off.
    Failed,
    /// Too slow.
    TimedOut,
    /// The answer was too large.
    TooLarge,
    /// Not made: the other side failed too often.
    Open,
}

impl PublishOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}

impl DeliveryOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Acked => "acked",
            Self::Retried => "retried",
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

impl PluginState {
    const ALL: [Self; 5] = [
        Self::Loading,
        Self::Ready,
        Self::Failed,
        Self::Draining,
        Self::Stopped,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl EgressOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "too_large",
            Self::Open => "open",
        }
    }
}

/// Counts messages by known type and outcome.
pub fn messages_published(message_type: &str, outcome: PublishOutcome, count: u64) {
    raw::count(
        MESSAGES_PUBLISHED,
        [("type", message_type), ("outcome", outcome.label())],
        count,
    );
}

/// Counts an attempt of a handler and how long it took.
pub fn delivery(handler: &str, outcome: DeliveryOutcome, took: Duration) {
    raw::count(
        DELIVERIES,
        [("handler", handler), ("outcome", outcome.label())],
        1,
    );
    raw::observe(DELIVERY_SECONDS, [("handler", handler)], took.as_secs_f64());
}

/// Counts a request by its route's pattern (not its path), method and class of status.
pub fn http_request(route: &str, method: &str, status: u16, took: Duration) {
    let method = known_method(method);
    let class = match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    raw::count(
        HTTP_REQUESTS,
        [("route", route), ("method", method), ("status", class)],
        1,
    );
    raw::observe(
        HTTP_SECONDS,
        [("route", route), ("method", method)],
        took.as_secs_f64(),
    );
}

/// Shows where a plugin is in its life: 1 at its state, 0 at the others.
pub fn plugin_state(plugin: &str, state: PluginState) {
    for each in PluginState::ALL {
        let labels = [("plugin", plugin), ("state", each.label())];
        raw::set(PLUGIN_STATE, labels, u64::from(each == state));
    }
}

/// Counts an outbound call of a plugin.
pub fn egress_request(plugin: &str, outcome: EgressOutcome) {
    raw::count(
        EGRESS_REQUESTS,
        [("plugin", plugin), ("outcome", outcome.label())],
        1,
    );
}

/// Shows how many other systems are not called for now.
pub fn egress_open_breakers(open: usize) {
    raw::set(EGRESS_OPEN_BREAKERS, [], open as u64);
}

/// A client may send any word as its method.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    describe();
    Ok(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_SECONDS)
}

fn describe() {
    metrics::describe_counter!(
        MESSAGES_PUBLISHED,
        "Messages by type and outcome of publishing."
    );
    metrics::describe_counter!(DELIVERIES, "Attempts of deliveries by handler and outcome.");
    metrics::describe_histogram!(DELIVERY_SECONDS, "Duration of an attempt.");
    load::describe();
    step::describe();
    metrics::describe_counter!(
        HTTP_REQUESTS,
        "Requests by route, method and class of status."
    );
    metrics::describe_histogram!(HTTP_SECONDS, "Duration of a request.");
    metrics::describe_gauge!(PLUGIN_STATE, "1 at the state that a plugin is in.");
    metrics::describe_counter!(EGRESS_REQUESTS, "Outbound calls by plugin and outcome.");
    metrics::describe_gauge!(
        EGRESS_OPEN_BREAKERS,
        "Other systems that are not called for now, because they failed again and again."
    );
}

/// The only place that touches the facade's macros.
#[expect(
    clippy::disallowed_macros,
    reason = "names come from the constants above, or from plugins, which are bounded in `plugin`"
)]
mod raw {
    use metrics::{Counter, Gauge, Histogram, Label};

    type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

    pub(super) fn count<const N: usize>(name: &'static str, labels: Labels<'_, N>, by: u64) {
        metrics::counter!(name, owned(labels)).increment(by);
    }

    pub(super) fn observe<const N: usize>(name: &'static str, labels: Labels<'_, N>, value: f64) {
        metrics::histogram!(name, owned(labels)).record(value);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are doubles; 2^53 is enough"
    )]
    pub(super) fn set<const N: usize>(name: &'static str, labels: Labels<'_, N>, value: u64) {
        metrics::gauge!(name, owned(labels)).set(value as f64);
    }

    pub(super) fn counter<const N: usize>(name: &'static str, labels: Labels<'_, N>) -> Counter {
        metrics::counter!(name, owned(labels))
    }

    pub(super) fn histogram<const N: usize>(
        name: &'static str,
        labels: Labels<'_, N>,
    ) -> Histogram {
        metrics::histogram!(name, owned(labels))
    }

    pub(super) fn named_counter(name: String, labels: Vec<Label>) -> Counter {
        metrics::counter!(name, labels)
    }

    pub(super) fn named_gauge(name: String, labels: Vec<Label>) -> Gauge {
        metrics::gauge!(name, labels)
    }

    pub(super) fn named_histogram(name: String, labels: Vec<Label>) -> Histogram {
        metrics::histogram!(name, labels)
    }

    fn owned<const N: usize>(labels: Labels<'_, N>) -> Vec<Label> {
        labels
            .into_iter()
            .map(|(name, value)| Label::new(name, value.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(record: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record();
        });
        handle.render()
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let text = rendered(|| {
            messages_published("org.example.paid.v1", PublishOutcome::Accepted, 3);
            delivery(
                "lms.enrol",
                DeliveryOutcome::Retried,
                Duration::from_millis(30),
            );
            handler_load(
                "lms.enrol",
                HandlerLoad {
                    lag: 7,
                    oldest: Duration::from_secs(90),
                    ..HandlerLoad::default()
                },
            );
            handler_breaker("lms.enrol", true);
            journal_load(JournalLoad {
                size: 4096,
                ..JournalLoad::default()
            });
            http_request("/lms/charges", "BREW", 503, Duration::from_millis(2));
            plugin_state("lms", PluginState::Ready);
            egress_request("lms", EgressOutcome::Forbidden);
        });
        for line in [
            r#"coordinator_messages_published_total{type="org.example.paid.v1",outcome="accepted"} 3"#,
            r#"coordinator_deliveries_total{handler="lms.enrol",outcome="retried"} 1"#,
            r#"coordinator_delivery_duration_seconds_bucket{handler="lms.enrol",le="0.05"} 1"#,
            r#"coordinator_handler_lag_messages{handler="lms.enrol"} 7"#,
            r#"coordinator_handler_oldest_seconds{handler="lms.enrol"} 90"#,
            r#"coordinator_handler_breaker_open{handler="lms.enrol"} 1"#,
            "coordinator_journal_size_bytes 4096",
            r#"coordinator_http_requests_total{route="/lms/charges",method="other",status="5xx"} 1"#,
            r#"coordinator_plugin_state{plugin="lms",state="ready"} 1"#,
            r#"coordinator_plugin_state{plugin="lms",state="failed"} 0"#,
            r#"coordinator_egress_requests_total{plugin="lms",outcome="forbidden"} 1"#,
        ] {
            assert!(
                text.lines().any(|each| each == line),
                "{line} is not in:\n{text}"
            );
        }
    }
}
