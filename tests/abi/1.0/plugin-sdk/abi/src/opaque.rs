//! An object of one side that the other side may hold, clone and drop, but not look into.

use std::sync::Arc;

use abi_stable::StableAbi;

/// A counted reference to an object of the side that made it.
#[repr(C)]
#[derive(StableAbi)]
pub struct Opaque {
    data: *const (),
    vtable: &'static OpaqueVtable,
}

/// The maker's clone and drop.
#[repr(C)]
#[derive(StableAbi)]
pub struct OpaqueVtable {
    clone: unsafe extern "C" fn(*const ()),
    drop: unsafe extern "C" fn(*const ()),
}

// SAFETY: made only of `Arc<T>` with `T: Send + Sync` (see `Opaque::new`).
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

struct Counted<T>(std::marker::PhantomData<T>);

impl<T: Send + Sync + 'static> Counted<T> {
    const VTABLE: &'static OpaqueVtable = &OpaqueVtable {
        clone: Self::clone,
        drop: Self::drop,
    };

    unsafe extern "C" fn clone(data: *const ()) {
        // SAFETY: `data` came from `Arc::<T>::into_raw`, and the caller holds one count.
        unsafe { Arc::increment_strong_count(data.cast::<T>()) }
    }

    unsafe extern "C" fn drop(data: *const ()) {
        // SAFETY: as above; the caller gives its count up.
        let last = Arc::into_inner(unsafe { Arc::from_raw(data.cast::<T>()) });
        // A panic in the object's own `Drop` must not cross; there is nobody to tell but the panic hook.
        if let Some(object) = last {
            let _ = crate::panic::catch(|| drop(object));
        }
    }
}

impl Opaque {
    /// Wraps an object of this side.
    pub(crate) fn new<T: Send + Sync + 'static>(object: Arc<T>) -> Self {
        Self {
            data: Arc::into_raw(object).cast(),
            vtable: Counted::<T>::VTABLE,
        }
    }

    /// The object again, with a count of its own.
    ///
    /// # Safety
    ///
    /// `self` was made on this side by [`Opaque::new`] with the same `T`.
    pub(crate) unsafe fn object<T: Send + Sync + 'static>(&self) -> Arc<T> {
        // SAFETY: the caller promises the type; `self` holds a count while we add ours.
        unsafe {
            Arc::increment_strong_count(self.data.cast::<T>());
            Arc::from_raw(self.data.cast::<T>())
        }
    }
}

impl Clone for Opaque {
    fn clone(&self) -> Self {
        // SAFETY: `data` belongs to this vtable, and `self` holds a count.
        unsafe { (self.vtable.clone)(self.data) };
        Self { ..*self }
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        // SAFETY: `data` belongs to this vtable, and `self` gives its count up, once.
        unsafe { (self.vtable.drop)(self.data) }
    }
}
