//! A request and its answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use coordinator_message::TraceParent;

use crate::HostPolicy;

/// What a plugin wants to send.
#[derive(Clone)]
pub struct OutboundRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names in any case; those that frame the message (`host`, `content-length`) are not the
    /// plugin's to set.
    pub headers: Vec<(String, String)>,
    /// The body, empty for none.
    pub body: Bytes,
    /// For the whole call; the host's default if not given.
    pub timeout: Option<Duration>,
    /// The trace that this call belongs to; a new one if there is none.
    pub trace: Option<TraceParent>,
    /// Where the plugin may call.
    pub policy: Arc<HostPolicy>,
}

/// What came back, whatever its status.
#[derive(Clone)]
pub struct OutboundResponse {
    /// Status code. Redirects are answers too: they are not followed.
    pub status: u16,
    /// Lower-case names, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Bytes,
}

impl OutboundResponse {
    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// How long the other side asks to wait from `now`, given in seconds or as a date
    /// ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)); zero if that
    /// date is past.
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u32>() {
            return Some(Duration::from_secs(u64::from(seconds)));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, wait) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("99999999999999999999", None),
        ] {
            let headers = vec![("retry-after".to_owned(), value.to_owned())];
            let response = OutboundResponse {
                status: 503,
                headers,
                body: Bytes::new(),
            };
            assert_eq!(
                response.retry_after(now),
                wait.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
