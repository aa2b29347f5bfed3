//! Headers out and in.

use coordinator_message::TraceParent;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::EgressError;
use crate::send::invalid;

/// Headers that frame a message; a plugin that sets them could make two requests of one.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const TRACEPARENT: &str = "traceparent";

/// The plugin's headers, and the trace context unless it set its own.
pub(crate) fn outbound(
    given: &[(String, String)],
    trace: Option<TraceParent>,
) -> Result<HeaderMap, EgressError> {
    let mut headers = HeaderMap::with_capacity(given.len() + 1);
    for (name, value) in given {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid("the name of a header is not a token".to_owned()))?;
        if FRAMING.contains(&header.as_str()) {
            return Err(invalid(format!(
                "the header `{header}` is the host's to set"
            )));
        }
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| invalid(format!("the header `{header}` holds a control character")))?;
        // Keeps values out of debug output of the HTTP library.
        value.set_sensitive(header != USER_AGENT);
        headers.append(header, value);
    }
    if !headers.contains_key(TRACEPARENT) {
        let own = trace
            .map_or_else(TraceParent::start, |trace| trace.child())
            .to_string();
        let own = HeaderValue::try_from(own).expect("a trace context is ASCII");
        headers.insert(TRACEPARENT, own);
    }
    Ok(headers)
}

/// Header values are bytes; what is not UTF-8 is read as Latin-1, as browsers do.
pub(crate) fn as_text((name, value): (&HeaderName, &HeaderValue)) -> (String, String) {
    let bytes = value.as_bytes();
    let text = std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().map(|byte| char::from(*byte)).collect(),
        str::to_owned,
    );
    (name.as_str().to_owned(), text)
}
