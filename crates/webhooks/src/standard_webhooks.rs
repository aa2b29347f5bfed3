//! Standard Webhooks: `webhook-signature: v1,BASE64 [v1,BASE64]`, HMAC-SHA256 over
//! `id.timestamp.body`. The key is the base64 after `whsec_`.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use coordinator_config::Secret;

use crate::mac::{self, TAG_LEN};
use crate::verify::{MAX_SIGNATURES, SchemeConfig, VerifyError, VerifyRequest};
use crate::{Scheme, SignError};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const SECRET_HINT: &str = "expected `whsec_` and base64, or base64 alone";

/// Some senders strip the padding from keys; both forms mean the same bytes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Checks the request; answers the `webhook-id`.
pub(crate) fn verify(
    config: &SchemeConfig,
    request: &VerifyRequest<'_>,
) -> Result<Option<String>, VerifyError> {
    let keys: Vec<Vec<u8>> = config.secrets.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Err(VerifyError::NoUsableSecret {
            scheme: Scheme::StandardWebhooks,
            hint: SECRET_HINT,
        });
    }
    let id = request.header(ID)?;
    if id.is_empty() {
        return Err(VerifyError::MalformedHeader {
            header: ID,
            reason: "empty",
        });
    }
    let time = request.header(TIMESTAMP)?;
    let tags = tags(request.header(SIGNATURE)?)?;
    request.check_time(time, TIMESTAMP, config.tolerance)?;
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", request.body];
    if mac::any_matches(&keys, &tags, &parts) {
        Ok(Some(id.to_owned()))
    } else {
        Err(VerifyError::NoMatch)
    }
}

/// The headers that a conforming sender would send.
pub(crate) fn sign(
    secret: &Secret,
    id: &str,
    now: i64,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, SignError> {
    let key = key(secret).ok_or(SignError {
        scheme: Scheme::StandardWebhooks,
        hint: SECRET_HINT,
    })?;
    let time = now.to_string();
    let tag = mac::tag(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    Ok(vec![
        (ID, id.to_owned()),
        (TIMESTAMP, time),
        (SIGNATURE, format!("v1,{}", BASE64.encode(tag))),
    ])
}

/// An empty key would let anybody sign, so it is no key.
fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().trim();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    BASE64.decode(encoded).ok().filter(|key| !key.is_empty())
}

/// The `v1` tags of the header; other versions (`v1a` is asymmetric) are passed over.
fn tags(header: &str) -> Result<Vec<[u8; TAG_LEN]>, VerifyError> {
    let malformed = |reason| VerifyError::MalformedHeader {
        header: SIGNATURE,
        reason,
    };
    let mut tags = Vec::new();
    for item in header.split_ascii_whitespace() {
        let (version, encoded) = item
            .split_once(',')
            .ok_or_else(|| malformed("expected `v1,` and base64"))?;
        if version != "v1" {
            continue;
        }
        if tags.len() == MAX_SIGNATURES {
            return Err(malformed("too many signatures"));
        }
        let tag = BASE64
            .decode(encoded)
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        tags.push(tag.ok_or_else(|| malformed("a `v1` signature is not 32 bytes in base64"))?);
    }
    if tags.is_empty() {
        return Err(malformed("no `v1` signature"));
    }
    Ok(tags)
}
