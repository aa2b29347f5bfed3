#![doc = include_str!("../README.md")]
//!
//! # The room
//!
//! In: an author's settings struct and impl block. Out: a plugin that any host of this ABI loads.
//! Not here: the host. This crate sees it only through `abi`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod blocking;
mod cache;
mod check;
mod command;
mod context;
mod error;
mod extract;
mod flags;
mod http;
mod lock;
mod log;
mod message;
mod metrics;
mod plugin;
mod publish;
mod run;
mod runtime;
#[doc(hidden)]
pub mod section;
mod serve;
mod service;
mod settings;
mod step;
pub mod testing;

pub use blocking::BlockingError;
pub use cache::{Cache, CacheError};
pub use check::{Finding, HealthError, Severity};
pub use command::{CommandError, IntoOutput, Output};
pub use context::{Context, MessageInfo, SettingsError};
pub use coordinator_macros::{data, flags, message, plugin, settings};
pub use coordinator_message::money::Currency;
pub use coordinator_message::{Money, Timestamp};
pub use error::{Decide, DecodeError, HandlerError, RouteError, StartError};
pub use extract::{FromRequest, IntoResponse, Json, Request, Response};
pub use flags::Flag;
pub use http::{Http, HttpError, HttpRequest, HttpResponse, StatusError};
pub use lock::{Lock, LockError};
pub use message::Message;
pub use metrics::{Counter, Gauge, Histogram, Metrics};
pub use publish::{Publish, PublishError, Receipt};
pub use run::{Missing, Ran, RunError};
pub use settings::Secret;
pub use step::{Flow, StepError};

/// What a plugin's source begins with: `use coordinator_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        CommandError, Context, Currency, Decide, Finding, Flow, HandlerError, HealthError, Json,
        Message, Money, Request, Response, RouteError, Secret, Severity, StartError, StepError,
        Timestamp, data, flags, message, plugin, settings,
    };
    pub use serde_json;
    pub use tracing;
    pub use url::Url;
}

/// For the macros. Not part of the promise.
#[doc(hidden)]
pub mod __private {
    pub use coordinator_abi::header::Identity;
    pub use coordinator_abi::{ABI, abi_stable, header, manifest, plugin};
    pub use inventory;
    pub use schemars;
    pub use serde;
    pub use serde_json;

    pub use crate::check::no_check;
    pub use crate::command::{CommandFailed, IntoOutput, decode_arguments, no_command};
    pub use crate::export_plugin;
    pub use crate::flags::KnownFlags;
    pub use crate::message::{Known, describe as describe_message};
    pub use crate::needs_tokio;
    pub use crate::plugin::{Plugin, decode, no_handler, no_route, no_schedule};
    pub use crate::runtime::{NoRuntime, TokioRuntime};
    pub use crate::section;
    pub use crate::serve::Served;
    pub use crate::settings::{Settings, is_secret};
    pub use crate::step::{Stepped, answer_schema, data_schema, decode_step, encode_step, no_step};

    /// Version of this SDK.
    pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
    /// The compiler.
    pub const RUSTC: &str = env!("COORDINATOR_RUSTC");
    /// The target.
    pub const TARGET: &str = env!("COORDINATOR_TARGET");
}
