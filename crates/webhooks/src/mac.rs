//! HMAC-SHA256 and its comparison, shared by the schemes that use it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// Length of an HMAC-SHA256 tag, bytes.
pub(crate) const TAG_LEN: usize = 32;

/// The tag of the concatenated `parts`.
pub(crate) fn tag(key: &[u8], parts: &[&[u8]]) -> [u8; TAG_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether one of the `offered` tags belongs to one of the `keys`. Compares every pair to the end,
/// so that the time taken tells neither which pair was near nor by how much.
pub(crate) fn any_matches(keys: &[Vec<u8>], offered: &[[u8; TAG_LEN]], parts: &[&[u8]]) -> bool {
    let mut found = Choice::from(0);
    for key in keys {
        let expected = tag(key, parts);
        for candidate in offered {
            found |= expected.ct_eq(candidate);
        }
    }
    found.into()
}
