//! Log lines, read as an operator or a collector reads them.

use std::io;
use std::sync::{Arc, Mutex};

use coordinator_telemetry::{LogFormat, LogOptions, subscriber};
use tracing::{debug, error, info, info_span, warn};

/// Collects what would go to standard error.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no writer panics")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines without their time stamps.
fn lines(format: LogFormat, say: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let options = LogOptions {
        format,
        filter: "info,quiet=off".to_owned(),
        redact_fields: vec!["order".to_owned()],
    };
    let subscriber = subscriber(&options, false, move || writer.clone()).expect("a valid filter");
    tracing::subscriber::with_default(subscriber, say);
    let bytes = written.0.lock().expect("no writer panics").clone();
    String::from_utf8(bytes)
        .expect("lines are text")
        .lines()
        .map(str::to_owned)
        .collect()
}

fn human(say: impl FnOnce()) -> Vec<String> {
    let cut = |line: String| {
        line.split_once(' ')
            .map_or(String::new(), |(_, rest)| rest.to_owned())
    };
    lines(LogFormat::Human, say).into_iter().map(cut).collect()
}

#[test]
fn a_line_has_a_sentence_its_fields_and_the_spans_around_it() {
    let said = human(|| {
        let span = info_span!(
            "deliver",
            handler.name = "lms.enrol",
            attempt = tracing::field::Empty
        );
        span.record("attempt", 2);
        span.in_scope(
            || warn!(target: "dispatch", backoff_ms = 4000, reason = "not now", "handler failed"),
        );
        debug!("too quiet to be heard");
        error!(target: "quiet", "switched off");
    });
    assert_eq!(
        said,
        [
            " WARN dispatch: handler failed backoff_ms=4000 reason=\"not now\" | deliver handler.name=lms.enrol attempt=2"
        ]
    );
}

#[test]
fn personal_data_and_secrets_are_in_no_line() {
    let say = || {
        let email = "ann@example.org";
        let span =
            info_span!("receive", customer.email = "x", note = %format!("by {email}"), token = 42);
        span.in_scope(|| {
            info!(
                first_name = "Ann",
                order = "EDX-1",
                plugin.name = "lms",
                "hello {email}"
            );
            info!(error = ?format!("refused Bearer {}", "abcdefgh1234"), "key whsec_c2VjcmV0");
        });
    };
    for format in [LogFormat::Human, LogFormat::Json] {
        let said = lines(format, say).join("\n");
        for hidden in [
            "ann@",
            "Ann",
            "EDX-1",
            "42,",
            "token=42",
            "abcdefgh1234",
            "c2VjcmV0",
        ] {
            assert!(!said.contains(hidden), "`{hidden}` is in {said}");
        }
        assert!(said.contains("lms") && said.contains("[email]") && said.contains("[redacted]"));
    }
}

#[test]
fn no_value_can_pose_as_another_line() {
    let say = || {
        info!(path = "a\nERROR forged: b", "x\r\n\u{1b}[2Jy \u{202e}z");
    };
    assert_eq!(
        human(say),
        [" INFO lines: x\\r\\n\\u{1b}[2Jy \\u{202e}z path=\"a\\nERROR forged: b\""]
    );
    assert_eq!(lines(LogFormat::Json, say).len(), 1);
}

#[test]
fn a_json_line_is_one_object_with_typed_fields() {
    let said = lines(LogFormat::Json, || {
        let span = info_span!(
            "deliver",
            attempt = tracing::field::Empty,
            handler.name = "lms.enrol"
        );
        span.record("attempt", 2);
        let cause = io::Error::other("disk \"full\"");
        span.in_scope(|| {
            error!(
                error = &cause as &dyn std::error::Error,
                ok = false,
                share = 0.5,
                "failed"
            );
        });
    });
    let mut line: serde_json::Value = serde_json::from_str(&said[0]).unwrap();
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    line["timestamp"] = serde_json::Value::Null;
    assert_eq!(
        line,
        serde_json::json!({
            "timestamp": null,
            "level": "ERROR",
            "target": "lines",
            "message": "failed",
            "fields": {"error": "disk \"full\"", "ok": false, "share": 0.5},
            "spans": [{"name": "deliver", "fields": {"handler.name": "lms.enrol", "attempt": 2}}],
        })
    );
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let options = LogOptions {
        filter: "lms=loud".to_owned(),
        ..LogOptions::default()
    };
    let error = subscriber(&options, false, io::sink).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("log filter `lms=loud` is not valid")
    );
}
