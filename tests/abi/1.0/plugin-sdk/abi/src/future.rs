//! Futures across the boundary: polled by the other side, panics caught on the side that made them.

use std::fmt;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use abi_stable::StableAbi;

use crate::Outcome;
use crate::waker::{self, AbiWaker};

/// A future of an [`Outcome`]. Dropping it cancels it.
#[repr(C)]
#[derive(StableAbi)]
#[must_use = "a future does nothing unless it is polled"]
pub struct RawFuture {
    data: *mut (),
    vtable: &'static RawFutureVtable,
}

/// The maker's functions.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawFutureVtable {
    /// Answers [`READY`] and writes the outcome, or [`PENDING`] and leaves it alone.
    poll: unsafe extern "C" fn(*mut (), &AbiWaker, *mut Outcome) -> u32,
    drop: unsafe extern "C" fn(*mut ()),
}

const PENDING: u32 = 0;
const READY: u32 = 1;

// SAFETY: made only of `F: Send` (see `RawFuture::new`).
unsafe impl Send for RawFuture {}

/// The maker's side of one future. `None` once it ended, so that a late poll is an answer, not a crash, and what it
/// held is let go at once.
struct Made<F>(Option<F>);

impl<F: Future<Output = Outcome> + Send + 'static> Made<F> {
    const VTABLE: &'static RawFutureVtable = &RawFutureVtable {
        poll: Self::poll,
        drop: Self::drop,
    };

    unsafe extern "C" fn poll(data: *mut (), lent: &AbiWaker, out: *mut Outcome) -> u32 {
        // SAFETY: `data` is the box of this type; polls are exclusive, as `RawFuture::poll` takes `&mut`.
        let made = unsafe { &mut *data.cast::<Self>() };
        // SAFETY: `lent` lives until this call returns, and the waker does not leave it but as a clone.
        let waker = unsafe { waker::borrow(lent) };
        let answer = crate::panic::catch(|| {
            let future = made.0.as_mut()?;
            // SAFETY: the future stays in its box until it is dropped there: it is never moved.
            let polled =
                unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                made.0 = None;
            }
            Some(polled)
        });
        let outcome = match answer {
            Ok(Some(Poll::Pending)) => return PENDING,
            Ok(Some(Poll::Ready(outcome))) => outcome,
            Ok(None) => Outcome::panicked("polled after it had ended".to_owned()),
            Err(panic) => {
                // Its parts may be in any state and their drops may panic too.
                let _ = crate::panic::catch(|| made.0 = None);
                Outcome::panicked(panic)
            }
        };
        // SAFETY: the caller gives a place for one outcome.
        unsafe { out.write(outcome) };
        READY
    }

    unsafe extern "C" fn drop(data: *mut ()) {
        // SAFETY: `data` is the box of this type, given back once.
        let made = unsafe { Box::from_raw(data.cast::<Self>()) };
        // One that ended holds nothing whose drop could panic.
        if made.0.is_some() {
            let _ = crate::panic::catch(|| drop(made));
        }
    }
}

impl RawFuture {
    /// Wraps a future of this side.
    pub fn new<F: Future<Output = Outcome> + Send + 'static>(future: F) -> Self {
        let made = Box::new(Made(Some(future)));
        Self {
            data: Box::into_raw(made).cast(),
            vtable: Made::<F>::VTABLE,
        }
    }

    /// A future that is ready.
    pub fn ready(outcome: Outcome) -> Self {
        Self::new(std::future::ready(outcome))
    }
}

impl Future for RawFuture {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let lent = AbiWaker::lend(context.waker());
        let mut out = MaybeUninit::uninit();
        // SAFETY: `data` belongs to this vtable and `&mut self` makes the poll exclusive; `lent` and `out` live
        // through the call.
        let answer = unsafe { (self.vtable.poll)(self.data, &lent, out.as_mut_ptr()) };
        match answer {
            PENDING => Poll::Pending,
            // SAFETY: `READY` promises that `out` was written.
            READY => Poll::Ready(unsafe { out.assume_init() }),
            other => Poll::Ready(Outcome::panicked(format!(
                "a poll answered the unknown code {other}"
            ))),
        }
    }
}

impl Drop for RawFuture {
    fn drop(&mut self) {
        // SAFETY: `data` belongs to this vtable and is given back once.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

impl fmt::Debug for RawFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawFuture(…)")
    }
}
