//! Reads the operator's configuration.
//! In: built-in defaults, a file, the environment; later layers win.
//! Out: typed sections, each value with its source, or every mistake at once.
//! Not here: what the settings mean to the rooms, and the schemas of plugin settings.

#![forbid(unsafe_code)]

mod backoff;
mod breaker;
mod config;
mod database;
mod egress;
mod entries;
mod env;
mod error;
mod instances;
mod journal;
mod key;
mod layers;
mod pipelines;
mod plugin_settings;
mod reader;
mod reference;
mod schedules;
mod secret;
mod secret_ref;
mod sections;
mod size;
mod suggest;
mod terms;
mod trust;
mod value;

pub use backoff::{Backoff, ParseBackoffError};
pub use breaker::Breaker;
pub use config::Config;
pub use database::{Cache, Database};
pub use egress::{Egress, EgressBreaker};
pub use entries::Entry;
pub use error::{ConfigError, ConfigErrors};
pub use instances::{ApiKey, HandlerWiring, Isolation, Plugin, Wiring};
pub use journal::{Durability, Engine, Journal, Payloads, RedisJournal};
pub use layers::{Source, Sources};
pub use pipelines::{Partial, PipelineWiring, StageWiring, StepWiring};
pub use plugin_settings::PluginSettings;
pub use reference::{Documented, reference};
pub use schedules::{Missed, ScheduleData, ScheduleWiring};
pub use secret::Secret;
pub use sections::{Dispatch, Log, LogFormat, Server};
pub use size::{ByteSize, ParseSizeError};
pub use suggest::nearest;
pub use terms::{OnExhausted, Order, ParseRateError, Rate};
pub use trust::{Trust, TrustKey, TrustPolicy};
