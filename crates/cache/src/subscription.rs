//! Hearing what others say: a change is told to every host at once, and nothing depends on it being heard.

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;

/// What a subscription hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Bytes),
    /// Messages may have gone unheard until now: read the state that they tell of. Comes first, and after each
    /// interruption.
    Missed,
}

/// Hears the messages of one channel, until it is dropped.
pub struct Subscription {
    begun: bool,
    source: Source,
}

enum Source {
    Memory(broadcast::Receiver<Bytes>),
    Server {
        heard: mpsc::Receiver<Heard>,
        _reader: Reader,
    },
}

/// Ends the reading with the subscription.
struct Reader(AbortHandle);

impl Subscription {
    pub(crate) fn memory(receiver: broadcast::Receiver<Bytes>) -> Self {
        Self {
            begun: false,
            source: Source::Memory(receiver),
        }
    }

    /// `reader` sends [`Heard::Missed`] itself, whenever it is connected.
    pub(crate) fn server(heard: mpsc::Receiver<Heard>, reader: AbortHandle) -> Self {
        Self {
            begun: true,
            source: Source::Server {
                heard,
                _reader: Reader(reader),
            },
        }
    }

    /// Waits for what comes next. Does not end: a server that is away is looked for until it is back.
    pub async fn next(&mut self) -> Heard {
        if !self.begun {
            self.begun = true;
            return Heard::Missed;
        }
        match &mut self.source {
            Source::Memory(receiver) => match receiver.recv().await {
                Ok(message) => Heard::Message(message),
                Err(broadcast::error::RecvError::Lagged(_)) => Heard::Missed,
                // The cache is gone: nobody can say anything any more.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            },
            Source::Server { heard, .. } => match heard.recv().await {
                Some(heard) => heard,
                // The runtime is ending.
                None => std::future::pending().await,
            },
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subscription")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}
