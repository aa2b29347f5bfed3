//! What `#[plugin]` writes for the author.

use coordinator_abi::header::Identity;
use coordinator_abi::manifest;
use serde::de::DeserializeOwned;

use crate::check::{Finding, HealthError, no_check};
use crate::command::{CommandFailed, Output, no_command};
use crate::error::{DecodeError, HandlerError, RouteError, StartError};
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::step::{StepError, Stepped, no_step};
use crate::{Context, Request, Response};

/// A plugin: written by the macro, run by [`Served`](crate::serve::Served). What a plugin does not have is left out.
#[doc(hidden)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What the operator fills in.
    type Settings: Settings;
    /// What its futures are polled inside of.
    type Runtime: Runtime;
    /// Name, version and how it was compiled.
    const IDENTITY: Identity;
    /// The crate's description.
    const DOC: &'static str;
    /// Does it say itself whether it is well, and has it something to finish?
    const HOOKS: manifest::Hooks;
    /// The settings' lines of the ELF section.
    const SETTINGS_ROWS: &'static str = <Self::Settings as Settings>::ROWS;

    /// In the order of their index.
    fn handlers() -> Vec<manifest::Handler> {
        Vec::new()
    }

    /// In the order of their index.
    fn routes() -> Vec<manifest::Route> {
        Vec::new()
    }

    /// In the order of their index.
    fn steps() -> Vec<manifest::Step> {
        Vec::new()
    }

    /// In the order of their index.
    fn schedules() -> Vec<manifest::Schedule> {
        Vec::new()
    }

    /// In the order of their index.
    fn commands() -> Vec<manifest::Command> {
        Vec::new()
    }

    /// In the order of their index.
    fn checks() -> Vec<manifest::Check> {
        Vec::new()
    }

    /// Makes the state of the settings.
    fn start(
        settings: Self::Settings,
        ctx: &Context,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Finishes.
    fn stop(&self, _ctx: &Context) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Is it well? A plugin that started is, unless it says otherwise.
    fn health(&self, _ctx: &Context) -> impl Future<Output = Result<(), HealthError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Runs one handler.
    fn handle(
        &self,
        index: u32,
        _ctx: &Context,
        _payload: &[u8],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        std::future::ready(Err(no_handler(index)))
    }

    /// Runs one route.
    fn route(
        &self,
        index: u32,
        _ctx: &Context,
        _request: Request,
    ) -> impl Future<Output = Result<Response, RouteError>> + Send {
        std::future::ready(Err(no_route(index)))
    }

    /// Runs one step of a pipeline.
    fn step(
        &self,
        index: u32,
        _ctx: &Context,
        _value: &[u8],
    ) -> impl Future<Output = Result<Stepped, StepError>> + Send {
        std::future::ready(Err(no_step(index)))
    }

    /// Runs one schedule.
    fn schedule(
        &self,
        index: u32,
        _ctx: &Context,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        std::future::ready(Err(no_schedule(index)))
    }

    /// Runs one command.
    fn command(
        &self,
        index: u32,
        _ctx: &Context,
        _arguments: &[u8],
    ) -> impl Future<Output = Result<Output, CommandFailed>> + Send {
        std::future::ready(Err(no_command(index)))
    }

    /// Runs one check.
    fn check(&self, index: u32, _ctx: &Context) -> impl Future<Output = Vec<Finding>> + Send {
        std::future::ready(no_check(index))
    }
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
pub fn no_schedule(index: u32) -> HandlerError {
    HandlerError::dead(format!("the plugin has no schedule number {index}"))
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
