//! Stripe: `Stripe-Signature: t=UNIX,v1=HEX[,v1=HEX]`, HMAC-SHA256 over `t.body`.
//! The whole secret, `whsec_` included, is the key.

use coordinator_config::Secret;
use serde::Deserialize;

use crate::mac::{self, TAG_LEN};
use crate::verify::{MAX_SIGNATURES, SchemeConfig, VerifyError, VerifyRequest};
use crate::{Scheme, SignError};

const HEADER: &str = "stripe-signature";
const SECRET_HINT: &str = "expected the endpoint's signing secret, such as `whsec_…`";

/// Checks the request; answers the event's id.
pub(crate) fn verify(
    config: &SchemeConfig,
    request: &VerifyRequest<'_>,
) -> Result<Option<String>, VerifyError> {
    let keys: Vec<Vec<u8>> = config.secrets.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Err(VerifyError::NoUsableSecret {
            scheme: Scheme::Stripe,
            hint: SECRET_HINT,
        });
    }
    let signed = Signed::parse(request.header(HEADER)?)?;
    request.check_time(signed.time, HEADER, config.tolerance)?;
    let parts: [&[u8]; 3] = [signed.time.as_bytes(), b".", request.body];
    if mac::any_matches(&keys, &signed.tags, &parts) {
        Ok(event_id(request.body))
    } else {
        Err(VerifyError::NoMatch)
    }
}

/// The header that Stripe would send.
pub(crate) fn sign(
    secret: &Secret,
    now: i64,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, SignError> {
    let key = key(secret).ok_or(SignError {
        scheme: Scheme::Stripe,
        hint: SECRET_HINT,
    })?;
    let time = now.to_string();
    let tag = mac::tag(&key, &[time.as_bytes(), b".", body]);
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(vec![(HEADER, format!("t={time},v1={hex}"))])
}

fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose();
    (!text.trim().is_empty() && text != "whsec_").then(|| text.as_bytes().to_vec())
}

/// The header taken apart. Its text goes into the MAC as sent, so it is kept as text.
struct Signed<'a> {
    time: &'a str,
    tags: Vec<[u8; TAG_LEN]>,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Result<Self, VerifyError> {
        let malformed = |reason| VerifyError::MalformedHeader {
            header: HEADER,
            reason,
        };
        let mut time = None;
        let mut tags = Vec::new();
        for item in header.split(',') {
            // Other schemes (`v0`, for test events) are none of our business.
            match item.trim().split_once('=') {
                Some(("t", _)) if time.is_some() => return Err(malformed("more than one `t=`")),
                Some(("t", value)) => time = Some(value),
                Some(("v1", value)) => {
                    if tags.len() == MAX_SIGNATURES {
                        return Err(malformed("too many signatures"));
                    }
                    tags.push(
                        decode_hex(value)
                            .ok_or_else(|| malformed("`v1=` is not 64 hexadecimal digits"))?,
                    );
                }
                _ => {}
            }
        }
        let time = time.ok_or_else(|| malformed("no `t=`"))?;
        if tags.is_empty() {
            return Err(malformed("no `v1=`"));
        }
        Ok(Self { time, tags })
    }
}

fn decode_hex(text: &str) -> Option<[u8; TAG_LEN]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * TAG_LEN {
        return None;
    }
    let mut tag = [0; TAG_LEN];
    for (byte, pair) in tag.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(tag)
}

/// The `id` of the event in the body (read only after the body was verified).
fn event_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        id: String,
    }
    serde_json::from_slice::<Event>(body)
        .ok()
        .map(|event| event.id)
        .filter(|id| !id.is_empty())
}
