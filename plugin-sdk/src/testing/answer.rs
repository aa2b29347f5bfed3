//! What a plugin under test answered.

use std::time::Duration;

use coordinator_abi::Outcome;
use coordinator_abi::call::{FailureMeta, RouteFailure};
use coordinator_abi::code::outcome;

/// What a route answered.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::{Call, Host};
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// # #[plugin] impl Shop {
/// /// Knows one order.
/// #[route(get, "/orders/{number}", auth = public)]
/// async fn order(&self, _ctx: &Context, request: Request) -> Result<Response, RouteError> {
///     match request.param("number") {
///         Some("7") => Ok(Response::text(200, "on its way")),
///         _ => Err(RouteError::new(404, "no-such-order", "there is no such order")),
///     }
/// }
/// # }
/// let host = Host::<Shop>::new(serde_json::json!({}));
/// let known = host.call(Call::get("/orders/7"));
/// assert_eq!((known.status, known.body.as_slice()), (200, b"on its way".as_slice()));
/// let unknown = host.call(Call::get("/orders/8"));
/// assert_eq!((unknown.status, unknown.code.as_deref()), (404, Some("no-such-order")));
/// ```
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body; of a refusal, its sentence.
    pub body: Vec<u8>,
    /// Of a refusal: its stable code.
    pub code: Option<String>,
}

/// A handler, a schedule, a command or another call failed.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # use std::time::Duration;
/// # /// Settings.
/// # #[settings] pub struct Books {}
/// # #[plugin] impl Books {
/// /// Closes the books.
/// #[schedule("0 0 * * *")]
/// async fn close(&self, _ctx: &Context) -> Result<(), HandlerError> {
///     Err(HandlerError::retry("a day is not over yet").after(Duration::from_secs(60)))
/// }
/// # }
/// let host = Host::<Books>::new(serde_json::json!({}));
/// let failed = host.schedule("close").unwrap_err();
/// assert!(failed.is_retry());
/// assert_eq!(failed.after(), Some(Duration::from_secs(60)));
/// assert_eq!(failed.chain(), ["a day is not over yet"]);
/// ```
#[derive(Debug)]
pub struct Failed {
    pub(super) retry: bool,
    pub(super) after: Option<Duration>,
    pub(super) chain: Vec<String>,
}

impl Failed {
    pub(super) fn of(answer: &Outcome) -> Self {
        let failure = FailureMeta::of(answer);
        Self {
            retry: answer.code != outcome::DEAD,
            after: failure.after_ms.map(Duration::from_millis),
            chain: failure.chain,
        }
    }

    /// Would the host try again?
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.retry
    }

    /// Not before.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.after
    }

    /// The error, then its causes. What an operator reads.
    #[must_use]
    pub fn chain(&self) -> &[String] {
        &self.chain
    }
}

/// What a command told the operator who ran it.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// # #[plugin] impl Shop {
/// /// Says how many seats there are.
/// #[command]
/// async fn seats(&self, _ctx: &Context) -> Result<String, CommandError> {
///     Ok("12 seats".to_owned())
/// }
/// # }
/// let told = Host::<Shop>::new(serde_json::json!({})).command("seats", &()).unwrap();
/// assert_eq!((told.text(), told.content_type()), ("12 seats", "text/plain; charset=utf-8"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Told {
    /// As text.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a command's text is UTF-8")
    }

    /// `text/plain; charset=utf-8` or `application/json`.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }
}

/// A step refused or failed: what the caller of its pipeline reads.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// # #[plugin] impl Shop {
/// /// Takes seats.
/// #[step("org.example.seats.v1")]
/// async fn take(&self, _ctx: &Context, seats: u32) -> Result<Flow<u32>, StepError> {
///     match seats.checked_sub(1) {
///         Some(left) => Ok(Flow::Continue(left)),
///         None => Err(StepError::new(409, "sold-out", "there is no seat left")),
///     }
/// }
/// # }
/// let host = Host::<Shop>::new(serde_json::json!({}));
/// let refused = host.step::<_, u32>("take", &0).unwrap_err();
/// assert_eq!((refused.status, refused.code.as_str()), (409, "sold-out"));
/// assert_eq!(refused.detail, "there is no seat left");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailed {
    /// HTTP status that fits it.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// Sentence for the caller.
    pub detail: String,
    /// For the log: the error, then its causes.
    pub chain: Vec<String>,
}

impl StepFailed {
    pub(super) fn of(answer: &Outcome) -> Self {
        let failure: RouteFailure = serde_json::from_slice(&answer.meta).unwrap_or_default();
        Self {
            status: if failure.status == 0 {
                500
            } else {
                failure.status
            },
            code: failure.code,
            detail: failure.detail,
            chain: failure.chain,
        }
    }
}
