//! Work that holds its thread, off the threads that poll.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use coordinator_abi::panic;

/// Work that holds its thread did not end with a value. In a handler `?` asks for another attempt.
///
/// ```
/// # use coordinator_sdk::prelude::*;
/// # use coordinator_sdk::testing::Host;
/// # /// Settings.
/// # #[settings] pub struct Plugin {}
/// # #[plugin] impl Plugin {
/// /// Panics where nobody waits but this.
/// #[command]
/// async fn divide(&self, ctx: &Context) -> Result<String, CommandError> {
///     let zero = std::hint::black_box(0_u32);
///     let half = ctx.spawn_blocking(move || 1 / zero).await?;
///     Ok(half.to_string())
/// }
/// # }
/// let host = Host::<Plugin>::new(serde_json::json!({}));
/// let failed = host.command("divide", &()).unwrap_err();
/// assert!(failed.chain()[0].contains("panicked: attempt to divide by zero"));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// It panicked; the text says where.
    #[error("blocking work {0}")]
    Panicked(String),
    /// There is no thread for it.
    #[error("no thread for blocking work")]
    NoThread(#[source] std::io::Error),
}

/// What the thread and the future share.
struct Shared<T> {
    answer: Option<Result<T, String>>,
    waker: Option<Waker>,
}

/// The answer of the thread.
struct Answer<T>(Arc<Mutex<Shared<T>>>);

impl<T> Future for Answer<T> {
    type Output = Result<T, String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                shared.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Runs `work` on a thread of its own. See [`Context::spawn_blocking`](crate::Context::spawn_blocking).
pub(crate) async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlockingError> {
    let shared = Arc::new(Mutex::new(Shared {
        answer: None,
        waker: None,
    }));
    let theirs = Arc::clone(&shared);
    let run = move || {
        let answer = panic::catch(work);
        let waker = {
            let mut shared = theirs.lock().unwrap_or_else(PoisonError::into_inner);
            shared.answer = Some(answer);
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    std::thread::Builder::new()
        .name("plugin-blocking".to_owned())
        .spawn(run)
        .map_err(BlockingError::NoThread)?;
    Answer(shared).await.map_err(BlockingError::Panicked)
}
