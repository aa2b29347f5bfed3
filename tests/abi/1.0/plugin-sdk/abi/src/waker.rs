//! Wakers across the boundary: two words and a vtable. Lending one allocates nothing; a clone is one box.

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use abi_stable::StableAbi;

/// A `Waker` of the polling side: its data pointer and its vtable pointer.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct AbiWaker {
    data: *const (),
    raw_vtable: *const (),
    vtable: &'static AbiWakerVtable,
}

/// The polling side's functions over its own waker.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct AbiWakerVtable {
    clone: unsafe extern "C" fn(&AbiWaker) -> AbiWaker,
    wake_by_ref: unsafe extern "C" fn(&AbiWaker),
    drop: unsafe extern "C" fn(&AbiWaker),
}

// === impl AbiWaker: the polling side ===

static NATIVE: AbiWakerVtable = AbiWakerVtable {
    clone: native_clone,
    wake_by_ref: native_wake_by_ref,
    drop: native_drop,
};

/// # Safety
///
/// `waker` was made on this side by [`AbiWaker::lend`] or `native_clone` and is still valid.
unsafe fn native(waker: &AbiWaker) -> ManuallyDrop<Waker> {
    // SAFETY: the two words are a `Waker`'s own parts; `ManuallyDrop` keeps the count as it is.
    unsafe {
        let vtable = &*waker.raw_vtable.cast::<RawWakerVTable>();
        ManuallyDrop::new(Waker::from_raw(RawWaker::new(waker.data, vtable)))
    }
}

fn parts(waker: &Waker) -> AbiWaker {
    let raw_vtable: *const RawWakerVTable = waker.vtable();
    AbiWaker {
        data: waker.data(),
        raw_vtable: raw_vtable.cast(),
        vtable: &NATIVE,
    }
}

unsafe extern "C" fn native_clone(waker: &AbiWaker) -> AbiWaker {
    // SAFETY: only called through `NATIVE`, so the parts are ours.
    let clone = unsafe { ManuallyDrop::new((*native(waker)).clone()) };
    parts(&clone)
}

unsafe extern "C" fn native_wake_by_ref(waker: &AbiWaker) {
    // SAFETY: as above. A waker that panics would unwind into the other side: stop it here.
    let _ = crate::panic::catch(|| unsafe { native(waker).wake_by_ref() });
}

unsafe extern "C" fn native_drop(waker: &AbiWaker) {
    // SAFETY: as above; the caller gives the clone up and does not use it again.
    let _ = crate::panic::catch(|| unsafe { ManuallyDrop::into_inner(native(waker)) });
}

impl AbiWaker {
    /// Lends `waker` for the length of one poll.
    pub(crate) fn lend(waker: &Waker) -> Self {
        parts(waker)
    }
}

// === the polled side ===

static BORROWED: RawWakerVTable = RawWakerVTable::new(clone, wake_borrowed, wake_by_ref, |_| ());
static OWNED: RawWakerVTable = RawWakerVTable::new(clone, wake_owned, wake_by_ref, drop_owned);

/// A std `Waker` over a lent one, for the length of one poll.
///
/// # Safety
///
/// `lent` outlives the returned waker (its clones may live on: they own a box).
pub(crate) unsafe fn borrow(lent: &AbiWaker) -> ManuallyDrop<Waker> {
    let data: *const AbiWaker = lent;
    // SAFETY: `BORROWED` never frees `data`; the caller keeps it alive.
    unsafe { ManuallyDrop::new(Waker::from_raw(RawWaker::new(data.cast(), &BORROWED))) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` points to a live `AbiWaker`: lent for this poll, or boxed by an earlier clone.
    let owned = unsafe {
        let waker = &*data.cast::<AbiWaker>();
        (waker.vtable.clone)(waker)
    };
    RawWaker::new(Box::into_raw(Box::new(owned)).cast_const().cast(), &OWNED)
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `clone`.
    unsafe {
        let waker = &*data.cast::<AbiWaker>();
        (waker.vtable.wake_by_ref)(waker);
    }
}

/// `BORROWED` wakers are handed out behind `ManuallyDrop` and `&`, so `wake(self)` is never reached; if it
/// were, waking by reference is the same act, as nothing is owned.
unsafe fn wake_borrowed(data: *const ()) {
    // SAFETY: as in `clone`.
    unsafe { wake_by_ref(data) }
}

unsafe fn wake_owned(data: *const ()) {
    // SAFETY: `data` is a box made by `clone`; it is used and then freed, once.
    unsafe {
        wake_by_ref(data);
        drop_owned(data);
    }
}

unsafe fn drop_owned(data: *const ()) {
    // SAFETY: `data` is a box made by `clone`, freed once by the side that made it.
    unsafe {
        let owned = Box::from_raw(data.cast_mut().cast::<AbiWaker>());
        (owned.vtable.drop)(&owned);
    }
}
