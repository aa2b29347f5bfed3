//! Sends requests under a policy and within limits.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coordinator_telemetry::metric::{self, EgressOutcome};
use reqwest::{Client, Method};
use tracing::{Instrument, debug, debug_span};
use url::Url;

use crate::address::{OnlyPrivate, Resolver};
use crate::breaker::BreakerOptions;
use crate::exchange::{OutboundRequest, OutboundResponse};
use crate::headers;
use crate::policy::Grant;
use crate::rests::Rests;

/// Limits of all calls.
#[derive(Debug, Clone)]
pub struct EgressOptions {
    /// For the whole call, where the call says nothing.
    pub timeout: Duration,
    /// For the part that opens a connection.
    pub connect_timeout: Duration,
    /// Largest answer, bytes.
    pub max_response: usize,
    /// Idle connections kept per host.
    pub pool_per_host: usize,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// When a system that fails is left alone.
    pub breaker: BreakerOptions,
    /// Addresses of names that the system's resolver is not asked for, as in `/etc/hosts`.
    pub fixed_hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl From<&coordinator_config::Egress> for EgressOptions {
    fn from(config: &coordinator_config::Egress) -> Self {
        Self {
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
            max_response: config.max_response.as_usize(),
            pool_per_host: config.pool_per_host,
            pool_idle: config.pool_idle,
            breaker: BreakerOptions::from(&config.breaker),
            fixed_hosts: BTreeMap::new(),
        }
    }
}

/// The client could not be made, because TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up")]
pub struct BuildError(#[source] reqwest::Error);

/// Why there is no answer. Never holds a path, a query or credentials.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The request cannot be sent as it is.
    #[error("not a valid request: {problem}")]
    Invalid {
        /// What is wrong.
        problem: String,
    },
    /// The plugin may not call this host.
    #[error(
        "plugin `{plugin}` may not call `{host}`\n  (add it to `allow_hosts` in [plugins.{plugin}], or make it one of the plugin's URL settings)"
    )]
    Forbidden {
        /// Instance name.
        plugin: String,
        /// Host, and port if it is not the usual one.
        host: String,
    },
    /// Allowed by a wildcard only, and on a private network.
    #[error(
        "plugin `{plugin}` may not call `{host}`: it is on a private network\n  (name it in `allow_hosts` of [plugins.{plugin}] without `*`, if that is meant)"
    )]
    Private {
        /// Instance name.
        plugin: String,
        /// Host, and port if it is not the usual one.
        host: String,
    },
    /// It failed again and again: it is not called for a while.
    #[error("`{host}` has failed again and again and is not called for {after:?}")]
    Open {
        /// Host, and port if it is not the usual one.
        host: String,
        /// When a call may be made.
        after: Duration,
    },
    /// No connection: name not found, refused, TLS.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// Host, and port if it is not the usual one.
        host: String,
        /// Cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Too slow.
    #[error("no complete answer from `{host}` within {after:?}")]
    Timeout {
        /// Host, and port if it is not the usual one.
        host: String,
        /// The limit that was applied.
        after: Duration,
    },
    /// The answer is larger than the limit.
    #[error(
        "the answer of `{host}` is larger than {limit} bytes\n  (the limit is `max_response` in [egress])"
    )]
    TooLarge {
        /// Host, and port if it is not the usual one.
        host: String,
        /// Bytes.
        limit: usize,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("no valid answer from `{host}`")]
    Protocol {
        /// Host, and port if it is not the usual one.
        host: String,
        /// Cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The kinds of [`EgressError`], for those who decide by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressErrorKind {
    /// Cannot be sent as it is.
    Invalid,
    /// Not allowed.
    Forbidden,
    /// Not called for now: it failed too often.
    Open,
    /// No connection.
    Connect,
    /// Too slow.
    Timeout,
    /// Too large an answer.
    TooLarge,
    /// Broken off, or not HTTP.
    Protocol,
}

/// The host's HTTP clients. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Egress {
    /// For hosts that an operator named.
    named: Client,
    /// For hosts that only a wildcard allows: connects to public addresses alone.
    wildcard: Client,
    rests: Rests,
    timeout: Duration,
    max_response: usize,
}

impl EgressError {
    /// The kind of this error.
    #[must_use]
    pub fn kind(&self) -> EgressErrorKind {
        match self {
            Self::Invalid { .. } => EgressErrorKind::Invalid,
            Self::Forbidden { .. } | Self::Private { .. } => EgressErrorKind::Forbidden,
            Self::Open { .. } => EgressErrorKind::Open,
            Self::Connect { .. } => EgressErrorKind::Connect,
            Self::Timeout { .. } => EgressErrorKind::Timeout,
            Self::TooLarge { .. } => EgressErrorKind::TooLarge,
            Self::Protocol { .. } => EgressErrorKind::Protocol,
        }
    }

    fn outcome(&self) -> EgressOutcome {
        match self.kind() {
            EgressErrorKind::Forbidden => EgressOutcome::Forbidden,
            EgressErrorKind::Open => EgressOutcome::Open,
            EgressErrorKind::Timeout => EgressOutcome::TimedOut,
            EgressErrorKind::TooLarge => EgressOutcome::TooLarge,
            EgressErrorKind::Invalid | EgressErrorKind::Connect | EgressErrorKind::Protocol => {
                EgressOutcome::Failed
            }
        }
    }
}

impl Egress {
    /// Makes the clients.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: &EgressOptions) -> Result<Self, BuildError> {
        let fixed = Arc::new(options.fixed_hosts.clone());
        let client = |public_only| {
            Client::builder()
                .user_agent(concat!("coordinator/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                // A proxy would resolve names itself, behind the back of the guard.
                .no_proxy()
                .connect_timeout(options.connect_timeout)
                .pool_max_idle_per_host(options.pool_per_host)
                .pool_idle_timeout(options.pool_idle)
                .dns_resolver(Resolver {
                    fixed: Arc::clone(&fixed),
                    public_only,
                })
                .build()
                .map_err(BuildError)
        };
        Ok(Self {
            named: client(false)?,
            wildcard: client(true)?,
            rests: Rests::new(options.breaker.clone()),
            timeout: options.timeout,
            max_response: options.max_response,
        })
    }

    /// Origins that are not called for now, because they failed again and again.
    #[must_use]
    pub fn open_breakers(&self) -> Vec<String> {
        self.rests.open()
    }

    /// Sends the request and reads the whole answer. Dropping the future cancels the call.
    ///
    /// # Errors
    /// See [`EgressError`]; an answer with any status is none.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, EgressError> {
        let policy = Arc::clone(&request.policy);
        let span = debug_span!("send", plugin.name = policy.plugin());
        let answer = self.perform(request).instrument(span).await;
        let outcome = answer
            .as_ref()
            .map_or_else(EgressError::outcome, |_| EgressOutcome::Answered);
        metric::egress_request(policy.plugin(), outcome);
        answer
    }

    async fn perform(&self, request: OutboundRequest) -> Result<OutboundResponse, EgressError> {
        let url: Url = request
            .url
            .parse()
            .map_err(|error| invalid(format!("URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("only http and https URLs can be called".to_owned()));
        }
        let host = host_of(&url);
        let plugin = || request.policy.plugin().to_owned();
        let client = match request.policy.grant(&url) {
            Some(Grant::Named) => &self.named,
            Some(Grant::Wildcard) => &self.wildcard,
            None => {
                return Err(EgressError::Forbidden {
                    plugin: plugin(),
                    host,
                });
            }
        };
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("the method is not a token".to_owned()))?;
        let headers = headers::outbound(&request.headers, request.trace)?;
        let leave = self
            .rests
            .ask(url.origin().ascii_serialization())
            .map_err(|after| EgressError::Open {
                host: host.clone(),
                after,
            })?;
        let timeout = request.timeout.unwrap_or(self.timeout);
        let call = client
            .request(method, url)
            .headers(headers)
            .timeout(timeout)
            .body(request.body);
        let answer = self.exchange(call, &host).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::TooLarge => EgressError::TooLarge {
                host: host.clone(),
                limit: self.max_response,
            },
            Failure::Broken(error) if caused_by_private_address(&error) => EgressError::Private {
                plugin: plugin(),
                host: host.clone(),
            },
            Failure::Broken(error) => classify(error, host.clone(), timeout),
        });
        leave.end(&answer);
        answer
    }

    async fn exchange(
        &self,
        call: reqwest::RequestBuilder,
        host: &str,
    ) -> Result<OutboundResponse, Failure> {
        let response = call.send().await.map_err(Failure::Broken)?;
        let status = response.status().as_u16();
        debug!(server.address = %host, http.response.status_code = status, "`{host}` answered {status}");
        let headers = response.headers().iter().map(headers::as_text).collect();
        let body = read_body(response, self.max_response).await?;
        Ok(OutboundResponse {
            status,
            headers,
            body,
        })
    }
}

/// Why an exchange has no answer.
enum Failure {
    TooLarge,
    Broken(reqwest::Error),
}

async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, Failure> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |size| size > limit) {
        return Err(Failure::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(crate) fn invalid(problem: String) -> EgressError {
    EgressError::Invalid { problem }
}

/// The host with its port unless that is the scheme's own: all of a URL that may be shown.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn classify(error: reqwest::Error, host: String, timeout: Duration) -> EgressError {
    let error = error.without_url();
    // A connection that takes too long is both; which limit it was says more.
    if error.is_connect() {
        EgressError::Connect {
            host,
            source: error.into(),
        }
    } else if error.is_timeout() {
        EgressError::Timeout {
            host,
            after: timeout,
        }
    } else {
        EgressError::Protocol {
            host,
            source: error.into(),
        }
    }
}

fn caused_by_private_address(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<OnlyPrivate>() {
            return true;
        }
        cause = error.source();
    }
    false
}
