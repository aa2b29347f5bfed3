//! The host's log, read as it is written.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use crate::eventually;

/// Every line of every run of one house's host, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Waits until at least so many lines hold this text: what is logged is read a moment later.
    ///
    /// # Panics
    ///
    /// If they never do.
    #[track_caller]
    pub fn until(&self, text: &str, lines: usize) {
        let told = |line: &&String| line.contains(text);
        eventually(&format!("`{text}` is logged {lines} times"), || {
            (self.lock().iter().filter(told).count() >= lines).then_some(())
        });
    }

    /// Takes what one process says. Where it listens comes out of the channel, which closes with the log.
    pub(crate) fn follow(&self, said: impl Read + Send + 'static) -> mpsc::Receiver<String> {
        let (found, address) = mpsc::channel();
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(url) = listening(&line) {
                    // A house that was dropped waits no more.
                    let _ = found.send(url.to_owned());
                }
                log.lock().push(line);
            }
        });
        address
    }

    /// The last lines, for a test that failed.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lock();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        // Every write is one push: a poisoned list is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `http://127.0.0.1:40123` of the line that says so.
fn listening(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split(['"', ' ']).next()
}
