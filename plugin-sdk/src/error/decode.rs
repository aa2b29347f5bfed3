//! JSON that does not fit.

/// JSON that does not fit its type. Names the field, never a value: payloads hold personal data.
///
/// ```
/// use coordinator_sdk::testing::Host;
/// # use coordinator_sdk::prelude::*;
/// # /// A thing happened.
/// # #[message("org.example.thing.happened.v1")] pub struct Thing { pub name: String }
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// #     /// Takes it.
/// #     #[handler] async fn take(&self, ctx: &Context, thing: Thing) -> Result<(), HandlerError> { Ok(()) }
/// # }
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// let error = host.deliver_json("org.example.thing.happened.v1", r#"{"name": 5}"#).unwrap_err();
/// assert!(!error.is_retry());
/// assert!(error.chain()[0].contains("expected a string"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("`{what}` does not decode: {reason}")]
pub struct DecodeError {
    what: String,
    reason: String,
}

impl DecodeError {
    pub(crate) fn new(what: impl Into<String>, error: &serde_json::Error) -> Self {
        Self {
            what: what.into(),
            reason: without_value(error),
        }
    }
}

/// serde quotes the offending value: "invalid type: string \"Ada\", expected u32". Drop the quote.
pub(super) fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    for kind in ["invalid type: ", "invalid value: "] {
        if let (Some(rest), Some(at)) = (text.strip_prefix(kind), text.rfind(", expected ")) {
            let found = rest.split([' ', '`', '"']).next().unwrap_or_default();
            return format!("{kind}{found}{}", &text[at..]);
        }
    }
    if text.starts_with("missing field")
        || text.starts_with("unknown field")
        || text.starts_with("duplicate field")
    {
        return text;
    }
    let place = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => format!("a value does not fit its type {place}"),
        serde_json::error::Category::Eof => format!("it ends too early {place}"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            format!("not JSON {place}")
        }
    }
}
