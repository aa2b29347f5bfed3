//! Steps of pipelines: what they answer, and how they fail.

use std::error::Error;
use std::time::Duration;

use coordinator_abi::call::RouteFailure;
use coordinator_abi::code::flow;
use coordinator_abi::{Code, SharedBytes};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::RouteError;
use crate::error::{DecodeError, chain};
use crate::http::{HttpError, StatusError};

/// What a step made of the value, and what follows.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::Host;
///
/// # /// Settings.
/// # #[settings] pub struct Vouchers {}
/// /// A basket and its price.
/// #[data]
/// pub struct Basket {
///     pub voucher: Option<String>,
///     pub minor: i64,
/// }
///
/// # #[plugin] impl Vouchers {
/// /// Takes the voucher off the price.
/// #[step("org.example.basket.price.v1", timeout = "500ms")]
/// async fn voucher(&self, _ctx: &Context, mut basket: Basket) -> Result<Flow<Basket>, StepError> {
///     match basket.voucher.as_deref() {
///         None => {}
///         Some("TEN") => basket.minor -= 1_000,
///         Some(_) => return Err(StepError::new(422, "no-such-voucher", "this voucher is not known")),
///     }
///     if basket.minor <= 0 {
///         return Ok(Flow::Halt(Basket { minor: 0, ..basket })); // nothing to pay: no step after this
///     }
///     Ok(Flow::Continue(basket))
/// }
/// # }
/// let host = Host::<Vouchers>::new(serde_json::json!({}));
/// let basket = |voucher: &str| Basket { voucher: Some(voucher.to_owned()), minor: 4_900 };
/// let priced: Flow<Basket> = host.step("voucher", &basket("TEN")).unwrap();
/// assert!(!priced.is_halt());
/// assert_eq!(priced.into_value().minor, 3_900);
/// let refused = host.step::<_, Basket>("voucher", &basket("ELEVEN")).unwrap_err();
/// assert_eq!((refused.status, refused.code.as_str()), (422, "no-such-voucher"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow<T> {
    /// The next step takes this value; after the last one it is the pipeline's answer.
    Continue(T),
    /// This value is the pipeline's answer: no step follows.
    Halt(T),
}

impl<T> Flow<T> {
    /// The value, whatever follows.
    pub fn into_value(self) -> T {
        match self {
            Self::Continue(value) | Self::Halt(value) => value,
        }
    }

    /// Is it the end of the pipeline?
    #[must_use]
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::Halt(_))
    }
}

/// Why a step failed, and so its pipeline: no step follows, and the caller is told. Made by `?` of any error: a value
/// that does not fit is 400, another system that fails is 502, one that the host leaves alone for now is 503 with
/// `Retry-After`, anything unknown is 500 with nothing but its trace id.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use std::time::Duration;
///
/// fn stock(seats: i64) -> Result<i64, StepError> {
///     match seats {
///         0 => Err(StepError::new(409, "sold-out", "there is no seat left")),
///         -1 => Err(StepError::new(503, "counting", "the seats are being counted").after(Duration::from_secs(5))),
///         seats => Ok(seats),
///     }
/// }
/// assert_eq!(stock(0).unwrap_err().status(), 409);
/// ```
#[derive(Debug)]
pub struct StepError(RouteError);

impl StepError {
    /// A refusal that the caller reads: the HTTP status that fits it, a stable code, and a sentence.
    pub fn new(status: u16, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(RouteError::new(status, code, detail))
    }

    /// Not before `after`.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self(self.0.after(after))
    }

    /// The status that fits it.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn into_meta(self) -> RouteFailure {
        self.0.into_meta()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for StepError {
    fn from(error: E) -> Self {
        let causes = || crate::error::causes(&error);
        let open = causes()
            .find_map(|cause| cause.downcast_ref::<HttpError>())
            .is_some_and(HttpError::is_breaker_open);
        let upstream = causes().any(|cause| cause.is::<HttpError>() || cause.is::<StatusError>());
        if upstream && !open {
            let detail = "another system that this needs failed";
            return Self(RouteError::new(502, "upstream-failed", detail).because(chain(&error)));
        }
        Self(RouteError::from(error))
    }
}

/// What `#[step]` functions return. Lets the manifest have the schema of their value.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a step cannot answer `{Self}`",
    label = "not an answer of a step",
    note = "it answers `Result<Flow<T>, StepError>` of a `#[data]` or `#[message]` type `T`"
)]
pub trait StepAnswer {
    /// The value.
    type Value: Serialize + JsonSchema;
    /// As a plain result.
    ///
    /// # Errors
    ///
    /// How the step failed.
    fn into_flow(self) -> Result<Flow<Self::Value>, StepError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> StepAnswer for Result<Flow<T>, StepError> {
    type Value = T;

    fn into_flow(self) -> Self {
        self
    }
}

/// What a step and a command take. Lets the manifest have its schema.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no data: it has no schema, and cannot be read",
    label = "not data",
    note = "write `#[data]` on it"
)]
pub trait Data: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Data for T {}

/// The schema of what a step or a command takes.
#[doc(hidden)]
#[must_use]
pub fn data_schema<T: Data>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// What a step made, encoded: what follows, and the value as JSON.
#[doc(hidden)]
pub type Stepped = (Code, SharedBytes);

/// The value that a step takes.
///
/// # Errors
///
/// If it does not fit.
#[doc(hidden)]
pub fn decode_step<T: Data>(value: &[u8]) -> Result<T, StepError> {
    let decoded = serde_json::from_slice(value);
    decoded.map_err(|error| DecodeError::new("the value", &error).into())
}

/// The value that a step made.
///
/// # Errors
///
/// If it does not encode.
#[doc(hidden)]
pub fn encode_step(answer: impl StepAnswer) -> Result<Stepped, StepError> {
    let answer = answer.into_flow()?;
    let follows = if answer.is_halt() {
        flow::HALT
    } else {
        flow::CONTINUE
    };
    let value = serde_json::to_vec(&answer.into_value()).map_err(|error| {
        StepError(RouteError::new(500, "internal", "").because(vec![format!(
            "the step's value does not encode as JSON: {error}"
        )]))
    })?;
    Ok((follows, value.into()))
}

/// The schema of what a step answers.
#[doc(hidden)]
#[must_use]
pub fn answer_schema<A: StepAnswer>() -> Value {
    schemars::schema_for!(A::Value).to_value()
}

#[doc(hidden)]
#[must_use]
pub fn no_step(index: u32) -> StepError {
    StepError::new(
        500,
        "internal",
        format!("the plugin has no step number {index}"),
    )
}
