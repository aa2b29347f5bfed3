//! The `Stripe-Signature` header, computed apart from the host's verifier.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of `Stripe-Signature` for `body`, signed with `secret` at `now` (Unix seconds).
///
/// Stripe's rule: HMAC-SHA256 of `{t}.{body}` under the whole secret, `whsec_` included, in hex.
#[must_use]
pub fn sign(secret: &str, now: u64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(now.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut header = format!("t={now},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(header, "{byte:02x}").expect("writing to a string cannot fail");
    }
    header
}
