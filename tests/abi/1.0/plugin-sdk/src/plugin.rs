//! What `#[plugin]` writes for the author.

use coordinator_abi::header::Identity;
use coordinator_abi::manifest;
use serde::de::DeserializeOwned;

use crate::error::{DecodeError, HandlerError, RouteError, StartError};
use crate::settings::Settings;
use crate::{Context, Request, Response};

/// A plugin: written by the macro, run by [`Served`](crate::serve::Served).
#[doc(hidden)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What the operator fills in.
    type Settings: Settings;
    /// Name, version and how it was compiled.
    const IDENTITY: Identity;
    /// The crate's description.
    const DOC: &'static str;
    /// The settings' lines of the ELF section.
    const SETTINGS_ROWS: &'static str = <Self::Settings as Settings>::ROWS;

    /// In the order of their index.
    fn handlers() -> Vec<manifest::Handler>;

    /// In the order of their index.
    fn routes() -> Vec<manifest::Route>;

    /// Makes the state of the settings.
    fn start(
        settings: Self::Settings,
        ctx: &Context,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Runs one handler.
    fn handle(
        &self,
        index: u32,
        ctx: &Context,
        payload: &[u8],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// Runs one route.
    fn route(
        &self,
        index: u32,
        ctx: &Context,
        request: Request,
    ) -> impl Future<Output = Result<Response, RouteError>> + Send;
}

/// The payload as the handler's message.
///
/// # Errors
///
/// If it does not fit; the error names the field, never a value.
#[doc(hidden)]
pub fn decode<M: DeserializeOwned>(ty: &str, payload: &[u8]) -> Result<M, HandlerError> {
    serde_json::from_slice(payload).map_err(|error| DecodeError::new(ty, &error).into())
}

#[doc(hidden)]
#[must_use]
pub fn no_handler(index: u32) -> HandlerError {
    HandlerError::dead(format!("the plugin has no handler number {index}"))
}

#[doc(hidden)]
#[must_use]
pub fn no_route(index: u32) -> RouteError {
    RouteError::new(
        404,
        "no-such-route",
        format!("the plugin has no route number {index}"),
    )
}
