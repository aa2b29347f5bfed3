//! The cache, locks and "once" of a plugin: in a space of its instance, which no other can reach.

use std::sync::Arc;
use std::time::Duration;

use coordinator_abi::ask::{KeyMeta, KeyReply};
use coordinator_abi::call::FailureMeta;
use coordinator_abi::code::{ask, outcome};
use coordinator_abi::fields::Malformed;
use coordinator_abi::{Code, Outcome, SharedBytes};
use coordinator_cache::{Cache, CacheError, LockToken};

use super::{Port, refused};
use crate::outcomes::chain;

/// The answer, and a value where one was asked for.
type Kept = Result<(KeyReply, SharedBytes), CacheError>;

impl Port {
    pub(super) async fn keyed(
        self: Arc<Self>,
        what: Code,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> Outcome {
        let meta = match KeyMeta::decode(&meta) {
            Ok(meta) => meta,
            Err(malformed) => return refused(outcome::REJECTED, malformed.to_string()),
        };
        let cache = &self.shared.cache;
        let kept = match what {
            ask::CACHE_GET
            | ask::CACHE_SET
            | ask::CACHE_DELETE
            | ask::CACHE_ADD
            | ask::CACHE_INCR => values(cache, what, &meta, body).await,
            _ => match term(&meta) {
                Ok(ttl) => locks(cache, what, &meta, ttl).await,
                Err(text) => return refused(outcome::REJECTED, text),
            },
        };
        match kept {
            Ok((reply, body)) => Outcome {
                code: outcome::OK,
                meta: reply.encode(),
                body,
            },
            Err(error) => failure(&error),
        }
    }

    /// Gives a lock up without anybody waiting for it.
    pub(super) fn release_later(&self, input: &[u8]) -> Result<(), Malformed> {
        let KeyMeta { key, token, .. } = KeyMeta::decode(input)?;
        let token = LockToken::from(token.ok_or(Malformed)?);
        let (cache, instance) = (self.shared.cache.clone(), self.shared.instance.clone());
        self.shared.services.io.spawn(async move {
            // It ends by itself at the end of its time.
            if let Err(error) = cache.release(&key, &token).await {
                tracing::debug!(plugin.name = instance, error = %error, "a lock was not given up, and ends by itself");
            }
        });
        Ok(())
    }
}

async fn values(cache: &Cache, what: Code, meta: &KeyMeta, body: SharedBytes) -> Kept {
    let (key, ttl) = (meta.key.as_str(), meta.ttl_ms.map(Duration::from_millis));
    let reply = match what {
        ask::CACHE_GET => {
            let found = cache.get(key).await?;
            let there = KeyReply::answer(found.is_some());
            return Ok((there, found.map(SharedBytes::from).unwrap_or_default()));
        }
        ask::CACHE_SET => {
            cache.set(key, body.into_bytes(), ttl).await?;
            KeyReply::answer(true)
        }
        ask::CACHE_DELETE => KeyReply::answer(cache.delete(key).await?),
        ask::CACHE_ADD => KeyReply::answer(cache.add(key, body.into_bytes(), ttl).await?),
        _ => KeyReply {
            number: cache.incr(key, meta.by, ttl).await?,
            token: None,
        },
    };
    Ok((reply, SharedBytes::new()))
}

async fn locks(cache: &Cache, what: Code, meta: &KeyMeta, ttl: Duration) -> Kept {
    let key = meta.key.as_str();
    let token = || LockToken::from(meta.token.clone().unwrap_or_default());
    let reply = match what {
        ask::LOCK_ACQUIRE => {
            let token = cache.lock(key, ttl).await?;
            KeyReply {
                number: i64::from(token.is_some()),
                token: token.map(|token| token.as_str().to_owned()),
            }
        }
        ask::LOCK_EXTEND => KeyReply::answer(cache.extend(key, &token(), ttl).await?),
        ask::LOCK_RELEASE => KeyReply::answer(cache.release(key, &token()).await?),
        _ => KeyReply::answer(cache.once(key, ttl).await?),
    };
    Ok((reply, SharedBytes::new()))
}

/// What ends by itself must say when. A release does not ask.
fn term(meta: &KeyMeta) -> Result<Duration, &'static str> {
    match (meta.ttl_ms, &meta.token) {
        (Some(millis), _) => Ok(Duration::from_millis(millis)),
        (None, Some(_)) => Ok(Duration::ZERO),
        (None, None) => Err("a lock, and `once`, must say how long they hold"),
    }
}

fn failure(error: &CacheError) -> Outcome {
    let code = match error {
        CacheError::Timeout(_) => outcome::TIMEOUT,
        error if error.is_unavailable() => outcome::UNAVAILABLE,
        _ => outcome::REJECTED,
    };
    let failure = FailureMeta {
        after_ms: None,
        chain: chain(error),
    };
    Outcome::with_meta(code, failure.encode())
}
