//! How far the dispatcher has come, from serving to ended.

use tokio::sync::watch;

/// How far the dispatcher has come. Only moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Deliveries are taken and run.
    Serving,
    /// What runs is finished; nothing new is taken.
    Draining,
    /// What still runs is dropped.
    Cancelling,
    /// What was settled is written; no more verdicts are accepted.
    Closing,
    /// What is not written by now is left to the next start.
    Ended,
}

/// Waits until the dispatcher has come as far as `phase`.
pub(crate) async fn reached(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    // The sender lives in the dispatcher: without it everything has ended.
    let _ = phases.wait_for(|now| *now >= phase).await;
}
