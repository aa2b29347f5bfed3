//! Reference-counted bytes that either side may clone and drop, through the functions of the side that made them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use abi_stable::StableAbi;
use bytes::Bytes;

/// Immutable bytes. Cloning and moving them across the boundary copies nothing.
#[repr(C)]
#[derive(StableAbi)]
pub struct SharedBytes {
    ptr: *const u8,
    len: usize,
    data: *const (),
    vtable: &'static SharedBytesVtable,
}

/// The maker's clone and drop.
#[repr(C)]
#[derive(StableAbi)]
pub struct SharedBytesVtable {
    clone: unsafe extern "C" fn(*const ()),
    drop: unsafe extern "C" fn(*const ()),
}

// SAFETY: the bytes are immutable, and both kinds of owner (`Arc`, nothing) may be counted from any thread.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

unsafe extern "C" fn keep_static(_: *const ()) {}
static STATIC: SharedBytesVtable = SharedBytesVtable {
    clone: keep_static,
    drop: keep_static,
};

/// Owners behind an `Arc`; the type parameter names what the count protects.
struct Owner<T>(T);

impl<T: AsRef<[u8]> + Send + Sync + 'static> Owner<T> {
    const VTABLE: &'static SharedBytesVtable = &SharedBytesVtable {
        clone: Self::clone,
        drop: Self::drop,
    };

    unsafe extern "C" fn clone(data: *const ()) {
        // SAFETY: `data` came from `Arc::into_raw` of this type, and the caller holds one count.
        unsafe { Arc::increment_strong_count(data.cast::<Self>()) }
    }

    unsafe extern "C" fn drop(data: *const ()) {
        // SAFETY: as above; the caller gives its count up.
        unsafe { Arc::decrement_strong_count(data.cast::<Self>()) }
    }

    fn share(value: T) -> SharedBytes {
        let owner = Arc::new(Self(value));
        let bytes = owner.0.as_ref();
        let (ptr, len) = (bytes.as_ptr(), bytes.len());
        SharedBytes {
            ptr,
            len,
            data: Arc::into_raw(owner).cast(),
            vtable: Self::VTABLE,
        }
    }
}

impl SharedBytes {
    /// No bytes; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self::from_static(&[])
    }

    /// Bytes that live as long as the process; allocates nothing.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
            data: std::ptr::null(),
            vtable: &STATIC,
        }
    }

    /// As `bytes::Bytes`, without copying.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.is_empty() {
            Bytes::new()
        } else {
            Bytes::from_owner(self)
        }
    }
}

impl Default for SharedBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            Self::new()
        } else {
            Owner::share(bytes)
        }
    }
}

impl From<String> for SharedBytes {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<Bytes> for SharedBytes {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::new()
        } else {
            Owner::share(bytes)
        }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the maker promises `len` initialised, immutable bytes at `ptr` while a count is held; `self` holds one.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Clone for SharedBytes {
    fn clone(&self) -> Self {
        // SAFETY: `data` belongs to this vtable, and `self` holds a count.
        unsafe { (self.vtable.clone)(self.data) };
        Self { ..*self }
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        // SAFETY: `data` belongs to this vtable, and `self` gives its count up, once.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

/// Prints the length only: payloads do not belong in logs.
impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cross_both_ways_without_a_copy() {
        let vec = vec![7_u8; 64 * 1024];
        let at = vec.as_ptr();
        let shared = SharedBytes::from(vec);
        assert_eq!(shared.as_ptr(), at);
        let bytes = shared.clone().into_bytes();
        assert_eq!(bytes.as_ptr(), at);
        let again = SharedBytes::from(bytes);
        assert_eq!(again.as_ptr(), at);
        drop(shared);
        assert_eq!(again[0], 7);
    }

    #[test]
    fn the_owner_is_dropped_with_the_last_clone() {
        let owner = Arc::new(vec![1_u8, 2, 3]);
        struct Held(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let first = Owner::share(Held(Arc::clone(&owner)));
        let second = first.clone();
        drop(first);
        assert_eq!(Arc::strong_count(&owner), 2);
        assert_eq!(&*second, [1, 2, 3]);
        drop(second);
        assert_eq!(Arc::strong_count(&owner), 1);
    }
}
