//! What is set up once per process, hence one test in a file of its own.

use coordinator_telemetry::metric::{PublishOutcome, messages_published};
use coordinator_telemetry::{InitError, LogOptions, init};

#[test]
fn metrics_are_rendered_after_init_and_a_second_init_is_refused() {
    let guard = init(&LogOptions::default()).unwrap();
    messages_published("org.example.paid.v1", PublishOutcome::Duplicate, 2);
    let line =
        r#"coordinator_messages_published_total{type="org.example.paid.v1",outcome="duplicate"} 2"#;
    let rendered = guard.render_metrics();
    assert!(rendered.lines().any(|each| each == line), "{rendered}");
    let again = init(&LogOptions::default()).unwrap_err();
    assert!(matches!(again, InitError::Subscriber(_)), "{again}");
}
