//! What goes to standard output: tables without heavy borders, plain lines, and JSON as the host gave it.

use std::io::{self, Write as _};

use comfy_table::{Cell, Table, presets};

use super::exit::{Failure, PROBLEMS, printable};

/// Standard output or standard error cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("failed to print the answer")]
pub(crate) struct PrintError(#[from] io::Error);

impl PrintError {
    /// Whether the reader simply left, as `head` does.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<PrintError> for Failure {
    fn from(error: PrintError) -> Self {
        Self::new(PROBLEMS, error)
    }
}

/// Prints text, and a line break.
///
/// Never `println!`, which panics when its reader has left (`| head`).
pub(crate) fn line(text: &str) -> Result<(), PrintError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.write_all(b"\n")?)
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), PrintError> {
    line(&serde_json::to_string_pretty(value).expect("built of texts, numbers and lists"))
}

/// Prints something to know about the answer, where it is not part of it.
pub(crate) fn note(text: &str) -> Result<(), PrintError> {
    Ok(writeln!(io::stderr().lock(), "{}", printable(text))?)
}

/// Prints rows under headings; an empty table prints `nothing` as a note.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    nothing: &str,
) -> Result<(), PrintError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.map(Cell::new));
    for row in rows {
        // A line break would start a row of its own.
        table.add_row(row.map(|cell| Cell::new(printable(&cell).replace('\n', " "))));
    }
    if table.is_empty() {
        return note(nothing);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    line(&table.trim_fmt())
}

/// Prints `name  value` lines, the values aligned; absent values are left out.
pub(crate) fn fields<'a>(
    fields: impl IntoIterator<Item = (&'a str, Option<String>)>,
) -> Result<(), PrintError> {
    let fields: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        line(&format!("{name:width$}  {}", printable(&value)))?;
    }
    Ok(())
}

/// Prints the heading of a part.
pub(crate) fn heading(text: &str) -> Result<(), PrintError> {
    line(&format!("\n{text}"))
}
