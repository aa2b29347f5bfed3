//! Sending events: many, several at a time, redelivered until taken, each with its fate reported.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use reqwest::{Client, Url, redirect};
use serde::{Deserialize, Serialize};

use super::{Template, event, sign};

const MAX_EVENTS: u32 = 10_000;
const MAX_CONCURRENCY: u32 = 256;
const MAX_REDELIVERIES: u32 = 1_000;

/// What to send where.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendOrder {
    /// The webhook's URL.
    pub url: String,
    /// The secret the webhook is signed with.
    pub secret: String,
    /// How many events; at most 10,000.
    #[serde(default = "one")]
    pub count: u32,
    /// How many at a time; at most 256.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// The number of the first event; without it the sandbox counts on.
    #[serde(default)]
    pub first: Option<u64>,
    /// What the events say.
    #[serde(default)]
    pub template: Template,
    /// Whether an event that was not taken is sent again.
    #[serde(default)]
    pub redeliver: Redeliver,
    /// Milliseconds to wait for one answer.
    #[serde(default = "patience_ms")]
    pub timeout_ms: u64,
}

const fn one() -> u32 {
    1
}

const fn patience_ms() -> u64 {
    10_000
}

/// How often and when an event is sent again that was not answered with 2xx.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeliver {
    /// At most so many times; at most 1,000.
    pub times: u32,
    /// Milliseconds between two tries.
    pub every_ms: u64,
}

impl SendOrder {
    /// One event of the default template.
    #[must_use]
    pub fn new(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: secret.into(),
            count: one(),
            concurrency: one(),
            first: None,
            template: Template::default(),
            redeliver: Redeliver::default(),
            timeout_ms: patience_ms(),
        }
    }
}

impl fmt::Debug for SendOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendOrder")
            .field("url", &self.url)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The fate of all events of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Events answered with 2xx.
    pub accepted: usize,
    /// Events whose last answer was another status.
    pub refused: usize,
    /// Events whose last try had no answer.
    pub unanswered: usize,
    /// Milliseconds from the first event to the last answer.
    pub wall_ms: u64,
    /// Each event, in the order of their numbers.
    pub events: Vec<Sent>,
}

/// The fate of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The event's id.
    pub event: String,
    /// The order it was about.
    pub order_number: String,
    /// The last answer's status.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How often it was sent.
    pub tries: u32,
    /// When the last try began, in milliseconds since the Unix epoch.
    pub sent_ms: u64,
    /// Milliseconds the last try took.
    pub took_ms: u64,
}

impl Sent {
    /// It was answered with 2xx: from here on the receiver is responsible.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// An order to send cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL cannot be called.
    #[error("`{0}` is not an http URL")]
    Url(String),
    /// A number is out of its bounds.
    #[error("`{field}` is {found}: expected 1 to {most}")]
    Bounds {
        /// The field's name.
        field: &'static str,
        /// What it was.
        found: u32,
        /// The most it may be.
        most: u32,
    },
    /// No HTTP client could be made.
    #[error("failed to make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Sends the events of `order`, the first with number `first` unless the order has a number of its own.
///
/// # Errors
/// The order itself is impossible. An event that is refused or not answered is no error: the report tells.
pub async fn send(order: &SendOrder, first: u64) -> Result<Report, SendError> {
    let sender = Sender::try_new(order)?;
    let started = Instant::now();
    let first = order.first.unwrap_or(first);
    let sends = (first..first.saturating_add(order.count.into())).map(|n| {
        let delivery = sender.deliver(order.template.numbered(n));
        async move { (n, delivery.await) }
    });
    let mut events: Vec<(u64, Sent)> = stream::iter(sends)
        .buffer_unordered(order.concurrency as usize)
        .collect()
        .await;
    events.sort_unstable_by_key(|(n, _)| *n);
    let events: Vec<Sent> = events.into_iter().map(|(_, sent)| sent).collect();
    let accepted = events.iter().filter(|sent| sent.is_accepted()).count();
    let unanswered = events.iter().filter(|sent| sent.status.is_none()).count();
    let refused = events.len() - accepted - unanswered;
    Ok(Report {
        accepted,
        refused,
        unanswered,
        wall_ms: millis(started.elapsed()),
        events,
    })
}

struct Sender<'a> {
    client: Client,
    url: Url,
    order: &'a SendOrder,
}

impl<'a> Sender<'a> {
    fn try_new(order: &'a SendOrder) -> Result<Self, SendError> {
        let within = |field, found, most| match found {
            found if (1..=most).contains(&found) => Ok(()),
            found => Err(SendError::Bounds { field, found, most }),
        };
        within("count", order.count, MAX_EVENTS)?;
        within("concurrency", order.concurrency, MAX_CONCURRENCY)?;
        within(
            "redeliver.times",
            order.redeliver.times.max(1),
            MAX_REDELIVERIES,
        )?;
        let url = Url::parse(&order.url)
            .ok()
            .filter(|url| url.scheme() == "http");
        let url = url.ok_or_else(|| SendError::Url(order.url.clone()))?;
        let client = Client::builder()
            .no_proxy()
            // Only http is called: reading the system's certificates would hold up the first event.
            .tls_certs_only([])
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_millis(order.timeout_ms))
            .user_agent("Stripe/1.0 (+sandbox)")
            .build()
            .map_err(SendError::Client)?;
        Ok(Self { client, url, order })
    }

    /// Sends one event until it is taken or the redeliveries are used up.
    async fn deliver(&self, template: Template) -> Sent {
        let body = event(&template, unix_now().as_secs()).to_string();
        let Redeliver { times, every_ms } = self.order.redeliver;
        let mut tries = 0;
        loop {
            tries += 1;
            let (started, sent_ms) = (Instant::now(), millis(unix_now()));
            let answer = self.post(body.clone()).await;
            let sent = Sent {
                event: template.id.clone(),
                order_number: template.order_number.clone(),
                status: answer.as_ref().ok().copied(),
                error: answer.err().map(|error| reason(&error).to_owned()),
                tries,
                sent_ms,
                took_ms: millis(started.elapsed()),
            };
            if sent.is_accepted() || tries > times {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(every_ms)).await;
        }
    }

    /// Each try is signed anew, as Stripe does: an old signature would be refused as a replay.
    async fn post(&self, body: String) -> Result<u16, reqwest::Error> {
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json; charset=utf-8")
            .header(
                "stripe-signature",
                sign(&self.order.secret, unix_now().as_secs(), body.as_bytes()),
            )
            .body(body);
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection serves the next event; what it says is nothing to Stripe.
        drop(answer.bytes().await);
        Ok(status)
    }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "connection closed without an answer"
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
