//! W3C Trace Context, carried from the inbound request through the journal to the outbound call.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A `traceparent` value ([W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("not a W3C traceparent: expected `00-<32 hex>-<16 hex>-<2 hex>`")]
pub struct ParseTraceError;

impl TraceParent {
    /// Starts a new sampled trace.
    #[must_use]
    pub fn start() -> Self {
        let (high, low) = fresh_ids();
        Self {
            trace_id: high,
            span_id: low,
            flags: 1,
        }
    }

    /// A child span in the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        let (_, low) = fresh_ids();
        Self {
            span_id: low,
            ..*self
        }
    }

    /// The trace id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// A trace id and a span id: unique and never zero, as the specification asks.
fn fresh_ids() -> (u128, u64) {
    let (_, random) = Uuid::now_v7().as_u64_pair();
    (Uuid::now_v7().as_u128(), random | 1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceParent {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseTraceError);
        };
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !hex(version, 2)
            || version == "ff"
            || !hex(trace, 32)
            || !hex(span, 16)
            || !hex(flags, 2)
        {
            return Err(ParseTraceError);
        }
        if version == "00" && parts.next().is_some() {
            return Err(ParseTraceError);
        }
        let parsed = Self {
            trace_id: u128::from_str_radix(trace, 16).map_err(|_| ParseTraceError)?,
            span_id: u64::from_str_radix(span, 16).map_err(|_| ParseTraceError)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| ParseTraceError)?,
        };
        if parsed.trace_id == 0 || parsed.span_id == 0 {
            return Err(ParseTraceError);
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stays_in_its_trace() {
        let root: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .unwrap();
        let child = root.child();
        assert_eq!(child.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(child, root);
        assert_eq!(child.to_string().parse::<TraceParent>().unwrap(), child);
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in [
            "",
            "00-x-y-z",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }
}
