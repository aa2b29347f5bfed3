//! Messages in memory that one handler is to be given: straight from commits while it keeps up, else read ahead.
//!
//! While the window takes every message that is committed for the handler, it is *warm*, and the log is not read. A
//! message that finds no room leaves a gap: the handler is *cold*, and its stream pages the log from there on until
//! nothing is missing. Whoever holds the state's lock sees either all of a step or nothing of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use coordinator_message::Envelope;

use super::cursor::WINDOW;

/// Most bytes of payload that one handler keeps in memory beyond what is handed out.
const BYTES: usize = 16 << 20;
/// What a message costs beside its payload, roughly.
const OVERHEAD: usize = 400;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// In log order.
    ready: VecDeque<(u64, Arc<Envelope>)>,
    /// Every message for the handler up to here is in `ready`, or was taken out of it.
    upto: u64,
    /// Messages of positions that wait behind their ordering key. Not all of them: what finds no room is read again.
    kept: HashMap<u64, Arc<Envelope>>,
    bytes: usize,
}

impl Window {
    /// Nothing in it; what lies above `upto` is to be read.
    pub(super) fn starting_at(upto: u64) -> Self {
        Self {
            upto,
            ..Self::default()
        }
    }

    /// Every message for the handler up to here was seen.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    /// Nothing is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Adds a message that was committed, if there is room. Not to be called while something before it is missing.
    pub(super) fn push(&mut self, position: u64, message: &Arc<Envelope>) {
        if self.ready.len() + self.kept.len() < WINDOW && self.bytes < BYTES {
            self.bytes += size(message);
            self.ready.push_back((position, message.clone()));
            self.upto = position;
        }
    }

    /// Adds a page of the log: all there is for the handler up to `upto`.
    pub(super) fn append(&mut self, page: Vec<(u64, Arc<Envelope>)>, upto: u64) {
        for (position, message) in page {
            self.bytes += size(&message);
            self.ready.push_back((position, message));
        }
        self.upto = self.upto.max(upto);
    }

    /// The next in log order, left where it is.
    pub(super) fn peek(&self) -> Option<&Envelope> {
        self.ready.front().map(|(_, message)| &**message)
    }

    /// The next in log order.
    pub(super) fn pop(&mut self) -> Option<(u64, Arc<Envelope>)> {
        let (position, message) = self.ready.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&message));
        Some((position, message))
    }

    /// Keeps a message whose turn has not come, if there is room.
    pub(super) fn keep(&mut self, position: u64, message: Arc<Envelope>) {
        if self.bytes < BYTES {
            self.bytes += size(&message);
            self.kept.insert(position, message);
        }
    }

    /// Is the message at this position in memory?
    pub(super) fn keeps(&self, position: u64) -> bool {
        self.kept.contains_key(&position)
    }

    /// A message that was kept.
    pub(super) fn take(&mut self, position: u64) -> Option<Arc<Envelope>> {
        let message = self.kept.remove(&position)?;
        self.bytes = self.bytes.saturating_sub(size(&message));
        Some(message)
    }
}

fn size(message: &Envelope) -> usize {
    OVERHEAD + message.data.len()
}

#[cfg(test)]
mod tests {
    use coordinator_message::{MessageId, Timestamp};

    use super::*;

    fn message() -> Arc<Envelope> {
        let ty = "org.openedx.payment.received.v1".parse().unwrap();
        let now = Timestamp::default();
        Arc::new(Envelope::new(
            MessageId::new(now),
            ty,
            "/test",
            now,
            "1".into(),
        ))
    }

    #[test]
    fn what_finds_no_room_is_left_to_the_log() {
        let mut window = Window::default();
        for position in 1..=WINDOW as u64 + 1 {
            window.push(position, &message());
        }
        assert_eq!(window.upto(), WINDOW as u64);
        assert_eq!(window.pop().unwrap().0, 1);
        window.append(vec![(WINDOW as u64 + 1, message())], 9000);
        assert_eq!(window.upto(), 9000);
        while window.pop().is_some() {}
        assert_eq!(window.bytes, 0);
    }
}
