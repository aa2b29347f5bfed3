//! What the test host answers when the plugin asks: a cache, locks, flags, metrics and scripted pipelines, in memory.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_abi::ask::{KeyMeta, KeyReply, MetricTell, RunMeta, RunReply};
use coordinator_abi::call::{FailureMeta, RouteFailure, json};
use coordinator_abi::code::{ask, metric, outcome, tell};
use coordinator_abi::host::unsupported;
use coordinator_abi::{Code, Outcome, SharedBytes};

/// A metric's name and labels.
type Series = (String, Vec<(String, String)>);

/// What one test host knows. Times are those of its clock, in milliseconds.
#[derive(Default)]
pub(super) struct Services {
    pub(super) settings: String,
    pub(super) flags: BTreeMap<String, bool>,
    pub(super) pipelines: BTreeMap<String, Scripted>,
    /// No cache, and so no locks: they are away.
    pub(super) away: bool,
    cache: BTreeMap<String, Kept>,
    locks: BTreeMap<String, (String, i64)>,
    asked_once: BTreeMap<String, i64>,
    metrics: BTreeMap<Series, f64>,
    tokens: u64,
}

/// What a pipeline answers: a value and what is missing from it, or how it fails.
pub(super) type Scripted = Result<(serde_json::Value, RunReply), RouteFailure>;

struct Kept {
    value: SharedBytes,
    until_ms: i64,
}

impl Services {
    pub(super) fn answer(
        &mut self,
        what: Code,
        meta: &[u8],
        body: SharedBytes,
        now_ms: i64,
    ) -> Outcome {
        match what {
            ask::RUN => self.run(meta),
            ask::SETTINGS => Outcome {
                body: self.settings.clone().into(),
                ..Outcome::ok()
            },
            _ if self.away => {
                let failure = FailureMeta::new("the cache is away");
                Outcome::with_meta(outcome::UNAVAILABLE, failure.encode())
            }
            _ => match KeyMeta::decode(meta) {
                Ok(meta) => self.keyed(what, &meta, body, now_ms),
                Err(malformed) => rejected(malformed.to_string()),
            },
        }
    }

    fn run(&self, meta: &[u8]) -> Outcome {
        let Ok(RunMeta { pipeline }) = RunMeta::decode(meta) else {
            return rejected("malformed request".to_owned());
        };
        match self.pipelines.get(&pipeline) {
            Some(Ok((value, reply))) => Outcome {
                meta: json(reply),
                body: value.to_string().into(),
                ..Outcome::ok()
            },
            Some(Err(failure)) => Outcome::with_meta(outcome::FAILED, json(failure)),
            None => {
                let detail =
                    format!("there is no pipeline `{pipeline}`: script it with `Host::pipeline`");
                let failure = RouteFailure {
                    status: 404,
                    code: "no-such-pipeline".to_owned(),
                    detail,
                    ..RouteFailure::default()
                };
                Outcome::with_meta(outcome::REJECTED, json(&failure))
            }
        }
    }

    fn keyed(&mut self, what: Code, meta: &KeyMeta, body: SharedBytes, now_ms: i64) -> Outcome {
        self.cache.retain(|_, kept| kept.until_ms > now_ms);
        self.locks.retain(|_, (_, until_ms)| *until_ms > now_ms);
        self.asked_once.retain(|_, until_ms| *until_ms > now_ms);
        let ttl = meta.ttl_ms.and_then(|ttl| i64::try_from(ttl).ok());
        let until_ms = ttl.map_or(i64::MAX, |ttl| now_ms.saturating_add(ttl));
        let key = meta.key.as_str();
        match what {
            ask::CACHE_GET => match self.cache.get(key) {
                Some(kept) => Outcome {
                    body: kept.value.clone(),
                    ..answered(true)
                },
                None => answered(false),
            },
            ask::CACHE_SET => {
                self.keep(key, body, until_ms);
                answered(true)
            }
            ask::CACHE_ADD => {
                let absent = !self.cache.contains_key(key);
                if absent {
                    self.keep(key, body, until_ms);
                }
                answered(absent)
            }
            ask::CACHE_DELETE => answered(self.cache.remove(key).is_some()),
            ask::CACHE_INCR => self.increment(key, meta.by, until_ms),
            ask::ONCE => {
                let first = !self.asked_once.contains_key(key);
                self.asked_once.entry(key.to_owned()).or_insert(until_ms);
                answered(first)
            }
            ask::LOCK_ACQUIRE => self.acquire(key, until_ms),
            ask::LOCK_EXTEND => {
                let ours = self.is_ours(meta);
                if ours && let Some((_, until)) = self.locks.get_mut(key) {
                    *until = until_ms;
                }
                answered(ours)
            }
            ask::LOCK_RELEASE => answered(self.release(meta)),
            other => unsupported(other),
        }
    }

    fn keep(&mut self, key: &str, value: SharedBytes, until_ms: i64) {
        self.cache.insert(key.to_owned(), Kept { value, until_ms });
    }

    fn increment(&mut self, key: &str, by: i64, until_ms: i64) -> Outcome {
        let (before, until_ms) = match self.cache.get(key) {
            Some(kept) => match serde_json::from_slice::<i64>(&kept.value) {
                Ok(number) => (number, kept.until_ms),
                Err(_) => return rejected(format!("`{key}` holds no number")),
            },
            None => (0, until_ms),
        };
        let sum = before.saturating_add(by);
        self.keep(key, sum.to_string().into(), until_ms);
        let reply = KeyReply {
            number: sum,
            token: None,
        };
        Outcome {
            meta: reply.encode(),
            ..Outcome::ok()
        }
    }

    pub(super) fn acquire(&mut self, key: &str, until_ms: i64) -> Outcome {
        if self.locks.contains_key(key) {
            return answered(false);
        }
        self.tokens += 1;
        let token = format!("owner-{}", self.tokens);
        self.locks.insert(key.to_owned(), (token.clone(), until_ms));
        let reply = KeyReply {
            number: 1,
            token: Some(token),
        };
        Outcome {
            meta: reply.encode(),
            ..Outcome::ok()
        }
    }

    fn is_ours(&self, meta: &KeyMeta) -> bool {
        let held = self.locks.get(&meta.key).map(|(token, _)| token);
        held.is_some() && held == meta.token.as_ref()
    }

    fn release(&mut self, meta: &KeyMeta) -> bool {
        self.is_ours(meta) && self.locks.remove(&meta.key).is_some()
    }

    pub(super) fn tell(&mut self, what: Code, input: &[u8]) -> u64 {
        match what {
            tell::FLAG => {
                let name = std::str::from_utf8(input).unwrap_or_default();
                self.flags
                    .get(name)
                    .map_or(tell::UNKNOWN, |on| u64::from(*on))
            }
            tell::METRIC => self.measure(input),
            tell::LOCK_RELEASE => {
                KeyMeta::decode(input).map_or(tell::UNKNOWN, |meta| u64::from(self.release(&meta)))
            }
            _ => tell::UNKNOWN,
        }
    }

    fn measure(&mut self, input: &[u8]) -> u64 {
        let Ok(measure) = MetricTell::read(input) else {
            return 0;
        };
        let labels: BTreeSet<(String, String)> = measure
            .labels()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let series = (measure.name.to_owned(), labels.into_iter().collect());
        let value = self.metrics.entry(series).or_default();
        match measure.kind {
            metric::GAUGE => *value = measure.value,
            _ => *value += measure.value,
        }
        1
    }

    pub(super) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: BTreeSet<(String, String)> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let series = (name.to_owned(), labels.into_iter().collect());
        self.metrics.get(&series).copied()
    }

    pub(super) fn value(&self, key: &str, now_ms: i64) -> Option<&[u8]> {
        let kept = self.cache.get(key).filter(|kept| kept.until_ms > now_ms);
        kept.map(|kept| &*kept.value)
    }
}

fn answered(yes: bool) -> Outcome {
    Outcome {
        meta: KeyReply::answer(yes).encode(),
        ..Outcome::ok()
    }
}

fn rejected(reason: String) -> Outcome {
    Outcome::with_meta(outcome::REJECTED, FailureMeta::new(reason).encode())
}
