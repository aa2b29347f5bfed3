//! What a plugin's futures are polled inside of: nothing, or a tokio runtime of the plugin's own.

use coordinator_abi::{Outcome, RawFuture};

/// What is entered around each poll, and each drop, of a plugin's futures.
#[doc(hidden)]
pub trait Runtime: Default + Send + Sync + 'static {
    /// As long as this lives, the thread is inside.
    type Entered<'a>;
    /// What a call needs to get inside.
    type Entry;

    /// Enters it, if any call has needed it.
    fn enter(&self) -> Self::Entered<'_>;

    /// What a call needs to get inside.
    fn entry(&self) -> Self::Entry;

    /// A call that is polled, and dropped, inside.
    fn call(entry: Self::Entry, call: impl Future<Output = Outcome> + Send + 'static) -> RawFuture;
}

/// None: most plugins need no more than what the host lends.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct NoRuntime;

impl Runtime for NoRuntime {
    type Entered<'a> = ();
    type Entry = ();

    fn enter(&self) {}

    fn entry(&self) {}

    fn call((): (), call: impl Future<Output = Outcome> + Send + 'static) -> RawFuture {
        RawFuture::new(call)
    }
}

#[cfg(not(feature = "tokio"))]
pub use NoRuntime as TokioRuntime;
#[cfg(feature = "tokio")]
pub use with_tokio::TokioRuntime;

/// What `#[plugin(tokio)]` needs: it is there.
#[cfg(feature = "tokio")]
#[doc(hidden)]
#[macro_export]
macro_rules! needs_tokio {
    () => {};
}

/// What `#[plugin(tokio)]` needs: it is not there.
#[cfg(not(feature = "tokio"))]
#[doc(hidden)]
#[macro_export]
macro_rules! needs_tokio {
    () => {
        ::core::compile_error!(
            "`#[plugin(tokio)]` needs the feature `tokio` of coordinator-sdk: write `features = [\"tokio\"]` beside it in Cargo.toml"
        );
    };
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::pin::Pin;
    use std::sync::OnceLock;
    use std::task::{Context, Poll};

    use coordinator_abi::call::FailureMeta;
    use coordinator_abi::code::outcome;
    use coordinator_abi::{Outcome, RawFuture};
    use tokio::runtime::{Builder, EnterGuard, Handle, Runtime as Tokio};

    use super::Runtime;

    /// A tokio runtime of the instance's own, with one thread for its timers, sockets and spawned tasks. It is made
    /// for the first call, and ends with the instance: what was spawned and has not ended is cancelled.
    #[doc(hidden)]
    #[derive(Debug, Default)]
    pub struct TokioRuntime(OnceLock<Result<Tokio, String>>);

    impl TokioRuntime {
        fn handle(&self) -> Result<&Handle, &str> {
            let made = self.0.get_or_init(|| {
                Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("plugin-tokio")
                    .enable_all()
                    .build()
                    .map_err(|error| format!("no tokio runtime for the plugin: {error}"))
            });
            made.as_ref().map(Tokio::handle).map_err(String::as_str)
        }
    }

    impl Runtime for TokioRuntime {
        type Entered<'a> = Option<EnterGuard<'a>>;
        type Entry = Result<Handle, String>;

        fn enter(&self) -> Self::Entered<'_> {
            let made = self.0.get()?.as_ref().ok()?;
            Some(made.enter())
        }

        fn entry(&self) -> Self::Entry {
            self.handle().cloned().map_err(str::to_owned)
        }

        fn call(
            entry: Self::Entry,
            call: impl Future<Output = Outcome> + Send + 'static,
        ) -> RawFuture {
            match entry {
                Ok(handle) => RawFuture::new(Inside {
                    handle,
                    call: Some(Box::pin(call)),
                }),
                Err(reason) => {
                    let failure = FailureMeta::new(reason);
                    RawFuture::ready(Outcome::with_meta(outcome::FAILED, failure.encode()))
                }
            }
        }
    }

    impl Drop for TokioRuntime {
        fn drop(&mut self) {
            // Without waiting: whoever drops the last call must not be held up by what it spawned.
            if let Some(Ok(runtime)) = self.0.take() {
                runtime.shutdown_background();
            }
        }
    }

    /// Polled and dropped inside of the runtime: crates that need one need it in their drops too.
    struct Inside<F: Future<Output = Outcome>> {
        handle: Handle,
        call: Option<Pin<Box<F>>>,
    }

    impl<F: Future<Output = Outcome>> Future for Inside<F> {
        type Output = Outcome;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
            let Self { handle, call } = &mut *self;
            let _inside = handle.enter();
            match call {
                Some(call) => call.as_mut().poll(context),
                None => Poll::Pending,
            }
        }
    }

    impl<F: Future<Output = Outcome>> Drop for Inside<F> {
        fn drop(&mut self) {
            let _inside = self.handle.enter();
            self.call = None;
        }
    }
}
