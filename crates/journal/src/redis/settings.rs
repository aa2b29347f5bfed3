//! Is the server fit to hold a journal, and what is its "accepted" worth?
//!
//! In: a connection and the durability that the operator asked for. Out: what the server is and gives, or a refusal
//! that says what to set; and, in the same breath, what nodes tell each other. It is asked at the start and once a second after it: the server may be started again, or
//! another one take its place, with other settings; until that is put right, nothing is accepted.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, cmd};

use super::error::{OpenError, StoreError};
use super::link::Link;
use super::registry;
use super::state::Shared;
use crate::Durability;

/// How often the server is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How the server keeps what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Persistence {
    /// `appendonly yes`, `appendfsync always`.
    Always,
    /// `appendonly yes`, `appendfsync everysec` or `no`.
    Later(&'static str),
    /// `appendonly yes`; the server does not let us ask for `appendfsync`.
    Untold,
    /// `appendonly no`.
    Nothing,
}

/// Answers of the server before they are judged.
struct Answers {
    name: &'static str,
    version: String,
    policy: Option<String>,
    persistence: Persistence,
}

/// Asks the server; answers what it is, in words. `asserted`: the operator states that every write is synced, where
/// the server does not tell.
///
/// # Errors
///
/// [`OpenError::Unfit`] if it cannot hold what `wanted` promises, [`OpenError::Unreachable`] if it does not answer.
pub(super) async fn check(
    link: &Link,
    wanted: Durability,
    asserted: bool,
) -> Result<String, OpenError> {
    let answers = ask(link).await.map_err(|error| match error {
        StoreError::Server(error) => OpenError::Unreachable { source: error },
        other => OpenError::Unfit {
            what: other.to_string(),
            hint: "is it a Redis server?".to_owned(),
        },
    })?;
    answers.judge(wanted, asserted)
}

/// Asks again and again, until the journal is closed.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.closing() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
        check_again(&shared).await;
        let told = async {
            registry::announce(&shared).await?;
            registry::learn_removed(&shared).await?;
            registry::follow_pauses(&shared).await
        };
        if let Err(error) = told.await {
            tracing::debug!(error = %error, "nodes have not told each other what is open and paused");
        }
    }
}

/// Asks once more. A server that does not answer is not judged: nothing can be accepted then anyway.
pub(super) async fn check_again(shared: &Shared) {
    match check(&shared.look, shared.durability, shared.asserted).await {
        Ok(engine) => {
            if shared.judge(None) {
                tracing::info!(engine, "the journal's Redis server is fit again");
            }
            *shared.engine() = engine;
        }
        Err(OpenError::Unfit { what, hint }) => {
            if shared.judge(Some(what.clone())) {
                tracing::error!(
                    what,
                    hint,
                    "the journal's Redis server is not fit any more: nothing is accepted"
                );
            }
        }
        Err(_) => {}
    }
}

async fn ask(link: &Link) -> Result<Answers, StoreError> {
    // One section at a time: older servers know no more than one.
    let mut info = String::new();
    for section in ["server", "memory", "persistence"] {
        let text: String = link.run(cmd("INFO").arg(section)).await?;
        info.push_str(&text);
    }
    let policy = match setting(link, "maxmemory-policy").await? {
        Some(policy) => Some(policy),
        None => field(&info, "maxmemory_policy").map(str::to_owned),
    };
    let persistence = match setting(link, "appendfsync").await? {
        _ if field(&info, "aof_enabled") != Some("1") => Persistence::Nothing,
        Some(value) if value == "always" => Persistence::Always,
        Some(value) if value == "no" => Persistence::Later("no"),
        Some(_) => Persistence::Later("everysec"),
        None => Persistence::Untold,
    };
    let valkey = field(&info, "valkey_version");
    let version = valkey.or_else(|| field(&info, "redis_version"));
    Ok(Answers {
        name: if valkey.is_some() { "valkey" } else { "redis" },
        version: version.unwrap_or("0").to_owned(),
        policy,
        persistence,
    })
}

/// One setting; `None` if the server, as managed ones do, keeps it to itself.
async fn setting(link: &Link, name: &str) -> Result<Option<String>, StoreError> {
    let asked: Result<Vec<String>, StoreError> = link.run(cmd("CONFIG").arg("GET").arg(name)).await;
    match asked {
        Ok(pair) => Ok(pair.into_iter().nth(1)),
        Err(StoreError::Server(error)) if is_kept_back(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refused by the server's rules, or a command that it does not have.
fn is_kept_back(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    )
}

/// The value of one line of INFO.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

// === impl Answers ===

impl Answers {
    fn judge(self, wanted: Durability, asserted: bool) -> Result<String, OpenError> {
        let major: u32 = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .unwrap_or(0);
        if major < 7 {
            return Err(OpenError::Unfit {
                what: format!("{} {} is older than redis 7.0", self.name, self.version),
                hint:
                    "upgrade the server: entries are written with ids that older ones do not take"
                        .to_owned(),
            });
        }
        if self
            .policy
            .as_deref()
            .is_some_and(|policy| policy != "noeviction")
        {
            return Err(OpenError::Unfit {
                what: format!(
                    "maxmemory-policy is `{}`: messages would be evicted",
                    self.policy.unwrap_or_default()
                ),
                hint: "set `maxmemory-policy noeviction`, or give the journal a server of its own"
                    .to_owned(),
            });
        }
        let synced = match self.persistence {
            Persistence::Always => true,
            Persistence::Untold => asserted,
            Persistence::Later(_) | Persistence::Nothing => false,
        };
        if wanted == Durability::Strict && !synced {
            return Err(OpenError::Unfit {
                what: format!(
                    "durability `strict` needs every write synced, found {}",
                    self.persistence.text()
                ),
                hint: self.persistence.hint().to_owned(),
            });
        }
        Ok(format!(
            "{} {}, {}",
            self.name,
            self.version,
            self.persistence.text()
        ))
    }
}

// === impl Persistence ===

impl Persistence {
    fn text(self) -> String {
        match self {
            Self::Always => "appendfsync always".to_owned(),
            Self::Later(value) => format!("appendfsync {value}"),
            Self::Untold => "appendonly yes, appendfsync not told".to_owned(),
            Self::Nothing => "appendonly no: what it has is gone when it ends".to_owned(),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Always | Self::Later(_) => {
                "set `appendfsync always` on the server, or `journal.durability = \"relaxed\"`"
            }
            Self::Untold => {
                "the server does not tell its settings: if it syncs every write, say so with `journal.redis.assume_synced = true`"
            }
            Self::Nothing => {
                "set `appendonly yes` and `appendfsync always` on the server, or `journal.durability = \"relaxed\"`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(version: &str, policy: Option<&str>, persistence: Persistence) -> Answers {
        Answers {
            name: "redis",
            version: version.to_owned(),
            policy: policy.map(str::to_owned),
            persistence,
        }
    }

    #[test]
    fn what_a_server_must_have_is_what_was_asked_for() {
        let noeviction = Some("noeviction");
        let ask = |policy, persistence, wanted, asserted| {
            answers("7.0.15", policy, persistence).judge(wanted, asserted)
        };
        let strict = ask(noeviction, Persistence::Always, Durability::Strict, false).unwrap();
        assert_eq!(strict, "redis 7.0.15, appendfsync always");
        for weak in [
            Persistence::Nothing,
            Persistence::Untold,
            Persistence::Later("everysec"),
        ] {
            assert!(ask(noeviction, weak, Durability::Strict, false).is_err());
            assert!(ask(noeviction, weak, Durability::Relaxed, false).is_ok());
        }
        assert!(ask(None, Persistence::Untold, Durability::Strict, true).is_ok());
        assert!(ask(noeviction, Persistence::Nothing, Durability::Strict, true).is_err());
        assert!(
            ask(
                Some("allkeys-lru"),
                Persistence::Always,
                Durability::Relaxed,
                false
            )
            .is_err()
        );
        let old = answers("6.2.7", noeviction, Persistence::Always);
        assert!(old.judge(Durability::Relaxed, false).is_err());
    }
}
