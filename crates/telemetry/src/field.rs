//! Names of fields in log lines, those of OpenTelemetry where it has one.
//!
//! `CloudEvents` and messaging: <https://opentelemetry.io/docs/specs/semconv/>.

/// Id of a message.
pub const EVENT_ID: &str = "cloudevents.event_id";
/// Type of a message.
pub const EVENT_TYPE: &str = "cloudevents.event_type";
/// Source of a message.
pub const EVENT_SOURCE: &str = "cloudevents.event_source";
/// Group that shares the deliveries of a handler.
pub const CONSUMER_GROUP: &str = "messaging.consumer.group.name";
/// Id of a message, as OpenTelemetry's messaging conventions call it.
pub const MESSAGE_ID: &str = "messaging.message.id";
/// Kind of an error, bounded.
pub const ERROR_TYPE: &str = "error.type";
/// An error and its causes.
pub const ERROR_CHAIN: &str = "error.chain";
/// Instance name of a plugin.
pub const PLUGIN_NAME: &str = "plugin.name";
/// Version of a plugin.
pub const PLUGIN_VERSION: &str = "plugin.version";
/// Id of a handler, `instance.handler`.
pub const HANDLER_NAME: &str = "handler.name";
/// Name of a schedule.
pub const SCHEDULE_NAME: &str = "schedule.name";
/// Pattern of a route, never the path that was asked for.
pub const ROUTE_PATH: &str = "route.path";
/// Number of an attempt, from 1.
pub const ATTEMPT: &str = "attempt";
/// How it ended, bounded.
pub const OUTCOME: &str = "outcome";
/// Wait before the next attempt, milliseconds.
pub const BACKOFF_MS: &str = "backoff_ms";

/// Our own names that end like personal data and are none.
pub(crate) const HARMLESS: [&str; 4] = [CONSUMER_GROUP, PLUGIN_NAME, HANDLER_NAME, SCHEDULE_NAME];
