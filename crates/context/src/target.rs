//! The seams between dispatch, gateway and plugins: something that a message can be delivered to, or a request.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::call::{ResponseMeta, RouteMeta};
use coordinator_journal::{Delivery, HandlerSpec, NewMessage};
use coordinator_message::TraceParent;
use coordinator_wiring::HandlerTerms;

use crate::in_flight::Pass;

/// A delivery in progress. Dropping it cancels it.
pub type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A handler that messages can be delivered to.
pub trait Target: Send + Sync + 'static {
    /// Its id, and the types it takes.
    fn spec(&self) -> HandlerSpec;

    /// The terms it is run under.
    fn terms(&self) -> HandlerTerms;

    /// Keeps it from being stopped while it runs a delivery. `None` once another target has taken its place.
    fn enter(&self) -> Option<Pass> {
        Some(Pass::unbounded())
    }

    /// Runs the handler. Polled on the dispatch runtime; panics of the handler come back as [`Reply::Panicked`].
    fn deliver(&self, delivery: &Delivery) -> Running;
}

/// A request in progress. Stays on the thread of its connection.
pub type Answering<'a> = Pin<Box<dyn Future<Output = RouteReply> + 'a>>;

/// Something that answers routes.
pub trait RouteTarget: Send + Sync + 'static {
    /// Instance name, for logs.
    fn name(&self) -> &str;

    /// Keeps it from being stopped while it answers. `None` once another one has taken its place.
    fn enter(&self) -> Option<Pass> {
        Some(Pass::unbounded())
    }

    /// Asks route number `index`.
    fn answer<'a>(&'a self, index: u32, request: RouteRequest<'a>) -> Answering<'a>;
}

/// A request to a route; its signature, if it needs one, has been verified.
pub struct RouteRequest<'a> {
    /// Everything but the headers, which are taken from `headers`.
    pub meta: RouteMeta,
    /// Names in lower case, and values.
    pub headers: &'a mut dyn Iterator<Item = (&'a str, &'a [u8])>,
    /// Raw body.
    pub body: Bytes,
    /// The trace that the request belongs to.
    pub trace: TraceParent,
}

/// What a route answered.
#[derive(Debug)]
pub enum RouteReply {
    /// A response.
    Response {
        /// Status and headers, as the plugin set them.
        head: ResponseMeta,
        /// Body.
        body: Bytes,
    },
    /// A refusal or a failure.
    Failed(RouteFailed),
}

/// A route refused or failed.
#[derive(Debug)]
pub struct RouteFailed {
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// For the caller; empty where the caller is told nothing.
    pub detail: String,
    /// `Retry-After`.
    pub after: Option<Duration>,
    /// For the log.
    pub chain: Vec<String>,
}

/// What a handler answered.
#[derive(Debug)]
pub enum Reply {
    /// Done, and what it published meanwhile.
    Ack {
        /// Stored with the ack.
        emits: Vec<NewMessage>,
    },
    /// Try again.
    Retry {
        /// The other side said when (`Retry-After`).
        after: Option<Duration>,
        /// The error, then its causes.
        chain: Vec<String>,
    },
    /// It ran into a breaker that was open: what it needs is known not to answer. Tried again, and not counted as an
    /// attempt.
    Deferred {
        /// Not before the breaker's next probe.
        after: Duration,
        /// The error, then its causes.
        chain: Vec<String>,
    },
    /// Pointless to try again.
    Dead {
        /// The error, then its causes.
        chain: Vec<String>,
    },
    /// It panicked; the first entry says what and where.
    Panicked {
        /// The panic.
        chain: Vec<String>,
    },
}

impl<T: Target + ?Sized> Target for Arc<T> {
    fn spec(&self) -> HandlerSpec {
        (**self).spec()
    }

    fn terms(&self) -> HandlerTerms {
        (**self).terms()
    }

    fn enter(&self) -> Option<Pass> {
        (**self).enter()
    }

    fn deliver(&self, delivery: &Delivery) -> Running {
        (**self).deliver(delivery)
    }
}
