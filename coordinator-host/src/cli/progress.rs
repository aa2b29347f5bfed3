//! What moves on the terminal while something takes long. Nothing is drawn where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(120);

/// Work of unknown length; gone with the value.
pub(super) struct Waiting(ProgressBar);

/// Work on a known number of things; gone with the value.
pub(super) struct Counting(ProgressBar);

/// Says `text` until it is dropped.
pub(super) fn waiting(text: &str) -> Waiting {
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    bar.enable_steady_tick(TICK);
    Waiting(bar)
}

/// Counts up to `total`.
pub(super) fn counting(text: &str, total: u64) -> Counting {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}");
    let style = style.expect("the template is our own");
    let bar = ProgressBar::new(total)
        .with_style(style)
        .with_message(text.to_owned());
    Counting(bar)
}

impl Counting {
    pub(super) fn add(&self, done: u64) {
        self.0.inc(done);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
