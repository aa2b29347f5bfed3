#![doc = include_str!("../README.md")]
//!
//! # The room
//!
//! In: an author's settings struct and impl block. Out: a plugin that any host of this ABI loads.
//! Not here: the host. This crate sees it only through `abi`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod context;
mod error;
mod extract;
mod http;
mod log;
mod message;
mod plugin;
mod publish;
#[doc(hidden)]
pub mod section;
mod serve;
mod settings;
pub mod testing;

pub use context::{Context, MessageInfo};
pub use coordinator_macros::{data, message, plugin, settings};
pub use coordinator_message::money::Currency;
pub use coordinator_message::{Money, Timestamp};
pub use error::{Decide, DecodeError, HandlerError, RouteError, StartError};
pub use extract::{FromRequest, IntoResponse, Json, Request, Response};
pub use http::{Http, HttpError, HttpRequest, HttpResponse, StatusError};
pub use message::Message;
pub use publish::{Publish, PublishError, Receipt};
pub use settings::Secret;

/// What a plugin's source begins with: `use coordinator_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Context, Currency, Decide, HandlerError, Json, Message, Money, Request, Response,
        RouteError, Secret, StartError, Timestamp, data, message, plugin, settings,
    };
    pub use serde_json;
    pub use tracing;
    pub use url::Url;
}

/// For the macros. Not part of the promise.
#[doc(hidden)]
pub mod __private {
    pub use coordinator_abi::header::Identity;
    pub use coordinator_abi::{abi_stable, header, manifest, plugin};
    pub use inventory;
    pub use schemars;
    pub use serde;
    pub use serde_json;

    pub use crate::export_plugin;
    pub use crate::message::{Known, describe as describe_message};
    pub use crate::plugin::{Plugin, decode, no_handler, no_route};
    pub use crate::section;
    pub use crate::serve::Served;
    pub use crate::settings::{Settings, is_secret};

    /// ABI of this SDK.
    pub const ABI: &str = "1.0";
    /// Version of this SDK.
    pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
    /// The compiler.
    pub const RUSTC: &str = env!("COORDINATOR_RUSTC");
    /// The target.
    pub const TARGET: &str = env!("COORDINATOR_TARGET");
}
