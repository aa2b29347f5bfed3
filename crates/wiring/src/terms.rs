//! Terms of a handler: the host's defaults, the author's attribute, the operator's word; the last one wins.

use std::time::Duration;

use coordinator_abi::manifest;
use coordinator_config::{Breaker, Dispatch, HandlerWiring, OnExhausted, Order, Rate};

/// How a handler is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerTerms {
    /// Attempts before a delivery is given up.
    pub max_attempts: u32,
    /// Panics of one message before it is given up.
    pub max_crashes: u32,
    /// First backoff; doubles up to `backoff_max`, with full jitter. Of a list, the shortest.
    pub backoff_min: Duration,
    /// Longest backoff. `Retry-After` is clamped to it too.
    pub backoff_max: Duration,
    /// The waits one after the other, of which the last is repeated; empty if they double.
    pub backoff_waits: Vec<Duration>,
    /// One attempt may take this long.
    pub timeout: Duration,
    /// So many at once.
    pub concurrency: u32,
    /// Attempts that may begin within a time, on this node.
    pub rate: Option<Rate>,
    /// Which order messages are delivered in.
    pub order: Order,
    /// What becomes of a delivery that is given up. Only with an order, and for messages with a key.
    pub on_exhausted: OnExhausted,
    /// When it is no longer tried with every message; `None` is never.
    pub breaker: Option<BreakerTerms>,
}

/// When a handler's breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerTerms {
    /// Attempts in a row that failed.
    pub failures: u32,
    /// So many messages must be among them.
    pub messages: u32,
    /// Messages in a row whose attempts panicked.
    pub panics: u32,
    /// How long it stays open at first.
    pub open_min: Duration,
    /// How long at most: it doubles with each probe that fails.
    pub open_max: Duration,
}

impl Default for BreakerTerms {
    fn default() -> Self {
        Self {
            failures: 20,
            messages: 3,
            panics: 3,
            open_min: Duration::from_secs(1),
            open_max: Duration::from_secs(60),
        }
    }
}

impl Default for HandlerTerms {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            max_crashes: 3,
            backoff_min: Duration::from_secs(2),
            backoff_max: Duration::from_secs(15 * 60),
            backoff_waits: Vec::new(),
            timeout: Duration::from_secs(30),
            concurrency: 16,
            rate: None,
            order: Order::None,
            on_exhausted: OnExhausted::DeadLetter,
            breaker: Some(BreakerTerms::default()),
        }
    }
}

impl HandlerTerms {
    /// The terms of one handler.
    ///
    /// # Errors
    ///
    /// If the author asks for what this host does not know: which option it is.
    pub fn of(
        host: &Dispatch,
        author: &manifest::Handler,
        operator: Option<&HandlerWiring>,
    ) -> Result<Self, UnknownTerm> {
        let mut terms = Self::of_host(host);
        terms.follow_author(author)?;
        if let Some(operator) = operator {
            terms.follow_operator(operator, &host.breaker);
        }
        Ok(terms)
    }

    fn of_host(host: &Dispatch) -> Self {
        Self {
            max_attempts: host.max_attempts,
            max_crashes: host.max_crashes,
            backoff_min: host.backoff.min,
            backoff_max: host.backoff.max,
            backoff_waits: host.backoff.waits.clone(),
            timeout: host.timeout,
            concurrency: host.concurrency,
            breaker: host.breaker.enabled.then(|| breaker(&host.breaker)),
            ..Self::default()
        }
    }

    fn follow_author(&mut self, author: &manifest::Handler) -> Result<(), UnknownTerm> {
        self.max_attempts = author.max_attempts.unwrap_or(self.max_attempts);
        self.timeout = author
            .timeout_ms
            .map_or(self.timeout, Duration::from_millis);
        self.concurrency = author.concurrency.unwrap_or(self.concurrency);
        if let Some((min, max)) = author.backoff_ms {
            self.backoff_min = Duration::from_millis(min);
            self.backoff_max = Duration::from_millis(max);
            let waits = author.backoff_waits_ms.iter().copied();
            self.backoff_waits = waits.map(Duration::from_millis).collect();
        }
        if let Some((count, per_ms)) = author.rate {
            let per = Duration::from_millis(per_ms);
            let count = count.clamp(1, Rate::MOST);
            self.rate = Some(Rate { count, per });
        }
        let unknown = |option, word: &str| UnknownTerm {
            option,
            word: word.to_owned(),
        };
        if let Some(word) = &author.order {
            self.order = [Order::None, Order::Key]
                .into_iter()
                .find(|known| known.as_str() == word)
                .ok_or_else(|| unknown("order", word))?;
        }
        if let Some(word) = &author.on_exhausted {
            use OnExhausted::{DeadLetter, DeadLetterKey, HoldKey};
            self.on_exhausted = [DeadLetter, HoldKey, DeadLetterKey]
                .into_iter()
                .find(|known| known.as_str() == word)
                .ok_or_else(|| unknown("on_exhausted", word))?;
        }
        Ok(())
    }

    fn follow_operator(&mut self, operator: &HandlerWiring, host: &Breaker) {
        self.max_attempts = operator.max_attempts.unwrap_or(self.max_attempts);
        self.timeout = operator.timeout.unwrap_or(self.timeout);
        self.concurrency = operator.concurrency.unwrap_or(self.concurrency);
        self.rate = operator.rate.or(self.rate);
        self.order = operator.order.unwrap_or(self.order);
        self.on_exhausted = operator.on_exhausted.unwrap_or(self.on_exhausted);
        if let Some(backoff) = &operator.backoff {
            (self.backoff_min, self.backoff_max) = (backoff.min, backoff.max);
            self.backoff_waits.clone_from(&backoff.waits);
        }
        if let Some(wanted) = operator.breaker {
            self.breaker = wanted.then(|| breaker(host));
        }
    }
}

/// An author asks for something that this host does not know: the plugin was built for a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its `{option}` is `{word}`, which this host does not know")]
pub struct UnknownTerm {
    option: &'static str,
    word: String,
}

fn breaker(host: &Breaker) -> BreakerTerms {
    BreakerTerms {
        failures: host.failures,
        messages: host.messages,
        panics: host.panics,
        open_min: host.open_min,
        open_max: host.open_max,
    }
}
