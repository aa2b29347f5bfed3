//! The form of a log line: for a person, or for a collector.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::redact::{REDACTED, Redactor, redact};

/// RFC 3339 with milliseconds, always of the same width.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Formats events and the fields of spans; all values go through the redactor.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) json: bool,
}

/// The fields of one event or span, cleaned.
struct Collected<'a> {
    redactor: &'a Redactor,
    message: String,
    /// Set by records that come from the `log` crate.
    target: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl<'a> Collected<'a> {
    fn of(redactor: &'a Redactor, record: &impl RecordFields) -> Self {
        let mut collected = Self {
            redactor,
            message: String::new(),
            target: None,
            fields: Vec::new(),
        };
        record.record(&mut collected);
        collected
    }

    fn add(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if name == "log.target" {
            self.target = value.as_str().map(str::to_owned);
        } else if name.starts_with("log.") {
            // Where in a library it was said interests nobody here.
        } else if name == "message" {
            self.message = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
        } else if self.redactor.hides(name) {
            self.fields.push((name, Value::from(REDACTED)));
        } else {
            self.fields.push((name, value));
        }
    }
}

impl Visit for Collected<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(redact(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.record_str(field, &text);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }
}

impl Line {
    /// `a=1 b="x y"`, or `"a":1,"b":"x y"` without braces, so that a span can take more later.
    fn write_fields(&self, out: &mut dyn fmt::Write, fields: &[(&str, Value)]) -> fmt::Result {
        for (position, (name, value)) in fields.iter().enumerate() {
            if position > 0 {
                out.write_char(if self.json { ',' } else { ' ' })?;
            }
            match value {
                _ if self.json => write!(out, "{}:{value}", Value::from(*name))?,
                Value::String(text) if !text.is_empty() && text.chars().all(is_plain) => {
                    write!(out, "{name}={text}")?;
                }
                // JSON's quotes, and its escapes for what would break the line.
                Value::String(text) => {
                    write!(out, "{name}=\"")?;
                    write_escaped(out, text, true)?;
                    out.write_char('"')?;
                }
                other => write!(out, "{name}={other}")?,
            }
        }
        Ok(())
    }
}

impl<'writer> FormatFields<'writer> for Line {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        record: R,
    ) -> fmt::Result {
        let collected = Collected::of(&self.redactor, &record);
        self.write_fields(&mut writer, &collected.fields)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        record: &span::Record<'_>,
    ) -> fmt::Result {
        if !current.fields.is_empty() {
            current.fields.push(if self.json { ',' } else { ' ' });
        }
        self.format_fields(current.as_writer(), record)
    }
}

impl<S> FormatEvent<S, Self> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Self>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let collected = Collected::of(&self.redactor, event);
        let now = OffsetDateTime::now_utc()
            .format(TIMESTAMP)
            .map_err(|_| fmt::Error)?;
        if self.json {
            self.write_json(&now, context, &mut writer, event, &collected)?;
        } else {
            self.write_human(&now, context, &mut writer, event, &collected)?;
        }
        writeln!(writer)
    }
}

impl Line {
    fn write_human<S>(
        &self,
        now: &str,
        context: &FmtContext<'_, S, Self>,
        writer: &mut Writer<'_>,
        event: &Event<'_>,
        collected: &Collected<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let metadata = event.metadata();
        let target = collected.target.as_deref().unwrap_or(metadata.target());
        let (on, off) = match *metadata.level() {
            _ if !writer.has_ansi_escapes() => ("", ""),
            tracing::Level::ERROR => ("\x1b[31m", "\x1b[0m"),
            tracing::Level::WARN => ("\x1b[33m", "\x1b[0m"),
            tracing::Level::INFO => ("\x1b[32m", "\x1b[0m"),
            _ => ("\x1b[2m", "\x1b[0m"),
        };
        write!(
            writer,
            "{now} {on}{:>5}{off} {target}: ",
            metadata.level().as_str()
        )?;
        write_escaped(writer, &collected.message, false)?;
        if !collected.fields.is_empty() {
            writer.write_char(' ')?;
            self.write_fields(writer, &collected.fields)?;
        }
        for span in context.event_scope().into_iter().flatten() {
            write!(writer, " | {}", span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Self>>()
                && !fields.is_empty()
            {
                write!(writer, " {fields}")?;
            }
        }
        Ok(())
    }

    fn write_json<S>(
        &self,
        now: &str,
        context: &FmtContext<'_, S, Self>,
        writer: &mut Writer<'_>,
        event: &Event<'_>,
        collected: &Collected<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let metadata = event.metadata();
        let target = collected.target.as_deref().unwrap_or(metadata.target());
        write!(
            writer,
            "{{\"timestamp\":\"{now}\",\"level\":\"{}\",\"target\":{},\"message\":{},\"fields\":{{",
            metadata.level(),
            Value::from(target),
            Value::from(collected.message.as_str()),
        )?;
        self.write_fields(writer, &collected.fields)?;
        writer.write_str("},\"spans\":[")?;
        for (position, span) in context.event_scope().into_iter().flatten().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(
                writer,
                "{comma}{{\"name\":{},\"fields\":{{",
                Value::from(span.name())
            )?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Self>>() {
                write!(writer, "{fields}")?;
            }
            writer.write_str("}}")?;
        }
        writer.write_str("]}")
    }
}

/// What needs no quotes around it.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '=')
}

/// Control characters, line separators and changes of direction would let a value pose as
/// another line or paint over this one.
fn write_escaped(out: &mut dyn fmt::Write, text: &str, in_quotes: bool) -> fmt::Result {
    for letter in text.chars() {
        match letter {
            '"' | '\\' if in_quotes => write!(out, "\\{letter}")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(out, "{}", letter.escape_unicode())?;
            }
            other if other.is_control() => write!(out, "{}", other.escape_unicode())?,
            other => out.write_char(other)?,
        }
    }
    Ok(())
}
