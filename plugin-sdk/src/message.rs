//! Message types that a plugin knows.

use coordinator_abi::manifest;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A payload type with a name. Written with [`#[message]`](macro@crate::message).
///
/// ```
/// use coordinator_sdk::prelude::*;
///
/// /// A learner's payment was captured.
/// #[message("org.example.payment.received.v1", key = "order")]
/// pub struct PaymentReceived {
///     pub order: String,
///     pub amount: Money,
/// }
///
/// assert_eq!(PaymentReceived::TYPE, "org.example.payment.received.v1");
/// let amount = Money::new(14_900, "USD".parse().unwrap());
/// let paid = PaymentReceived { order: "A-1".to_owned(), amount };
/// assert_eq!(paid.key().as_deref(), Some("A-1"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "a message is a struct with `#[message(\"org.example.thing.happened.v1\")]`"
)]
pub trait Message: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The type: reverse-DNS, with a version at its end.
    const TYPE: &'static str;
    /// What it means.
    const DOC: &'static str;
    /// What order holds within, if not the type.
    const LANE: Option<&'static str>;
    /// The field that orders it.
    const KEY: Option<&'static str>;

    /// The ordering key: messages with the same one keep their order.
    fn key(&self) -> Option<String> {
        None
    }
}

/// One entry for each message type that is linked into the plugin.
#[doc(hidden)]
pub struct Known {
    /// For the manifest.
    pub describe: fn() -> manifest::Message,
    /// Its line in the ELF section. Named here so that the linker keeps it.
    pub row: &'static [u8],
}

inventory::collect!(Known);

/// A message type, for the manifest.
#[doc(hidden)]
#[must_use]
pub fn describe<M: Message>() -> manifest::Message {
    manifest::Message {
        ty: M::TYPE.to_owned(),
        doc: M::DOC.to_owned(),
        lane: M::LANE.map(str::to_owned),
        key: M::KEY.map(str::to_owned),
        schema: schemars::schema_for!(M).to_value(),
    }
}
