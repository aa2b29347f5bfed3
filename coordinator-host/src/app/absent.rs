//! Handlers that the journal knows and nobody here serves. Those that the wiring has all the same wait: their plugin is
//! switched off or does not run, or they are. The others have left it.

use std::collections::{BTreeMap, BTreeSet};

use coordinator_journal::{Absence, HandlerSpec, Journal, JournalError};

use super::install::Installed;
use super::plan::Plan;

/// What the journal was told of them, and what it is still to be told.
#[derive(Default)]
pub(super) struct Absent {
    /// Open for nobody.
    waiting: BTreeSet<String>,
    owed: BTreeMap<String, Owed>,
    /// What the journal knew before the change that is being made.
    known: BTreeSet<String>,
}

/// What the journal is to be told of one.
#[derive(Debug, Clone, Copy)]
enum Owed {
    Absent(Absence),
    /// It was opened for a change that was not made, and had never been before.
    Undone,
}

impl Absent {
    /// When the host starts: what `plan` has and does not serve waits from the beginning.
    ///
    /// # Errors
    ///
    /// If the journal cannot be asked or told.
    pub(super) async fn begin(journal: &dyn Journal, plan: &Plan) -> Result<Self, JournalError> {
        let mut absent = Self::default();
        let bound = |id: &str| plan.wiring.handlers.iter().any(|bound| bound.id == id);
        for id in known(journal).await? {
            if !bound(&id) && plan.has_handler(&id) {
                journal.leave(&id, Absence::Waiting).await?;
                absent.waiting.insert(id);
            }
        }
        Ok(absent)
    }

    /// Handlers of plugins that do not run are opened all the same, and not read: a handler that the journal never saw
    /// would begin at *now* once its plugin starts, and what was accepted until then would not be delivered to it.
    ///
    /// # Errors
    ///
    /// Which cannot be opened, and why.
    pub(super) async fn open(
        &mut self,
        journal: &dyn Journal,
        plan: &Plan,
        is_free: impl Fn(&str) -> bool,
    ) -> Result<(), (String, JournalError)> {
        for bound in &plan.wiring.handlers {
            let installed = plan.find(&bound.instance);
            let runs = installed.is_some_and(|it| it.generation().is_some());
            if runs || self.waiting.contains(&bound.id) || !is_free(&bound.id) {
                continue;
            }
            let opened = journal.open(coordinator_context::spec(bound)).await;
            opened.map_err(|source| (bound.id.clone(), source))?;
            self.waiting.insert(bound.id.clone());
        }
        Ok(())
    }

    /// Before a change that opens or rebinds handlers: would the journal take it? What it knows by now tells later which
    /// of them it saw for the first time.
    ///
    /// # Errors
    ///
    /// If it cannot be read and written.
    pub(super) async fn foresee(
        &mut self,
        journal: &dyn Journal,
        now: &Plan,
        next: &Plan,
        served: &BTreeSet<String>,
    ) -> Result<(), JournalError> {
        let as_before = |id: &str, spec: &HandlerSpec| {
            let mut before = now.wiring.handlers.iter();
            before.any(|bound| bound.id == id && coordinator_context::spec(bound) == *spec)
        };
        let mut bound = next.wiring.handlers.iter();
        if bound.any(|it| {
            let open = served.contains(&it.id) || self.waiting.contains(&it.id);
            !open || !as_before(&it.id, &coordinator_context::spec(it))
        }) {
            journal.probe().await?;
            self.known = known(journal).await?;
        }
        Ok(())
    }

    /// `plan` is in force, and serves `served`: what was served `before` and is not any more waits or has left.
    pub(super) fn follow(
        &mut self,
        plan: &Plan,
        before: BTreeSet<String>,
        served: &BTreeSet<String>,
    ) {
        let mut absent: BTreeSet<String> = std::mem::take(&mut self.waiting);
        absent.retain(|id| !served.contains(id));
        self.owed.retain(|id, _| !served.contains(id));
        for id in before.difference(served) {
            absent.insert(id.clone());
            self.owed.insert(id.clone(), Owed::Absent(Absence::Waiting));
        }
        for id in absent {
            if plan.has_handler(&id) {
                self.waiting.insert(id);
            } else {
                self.owed.insert(id, Owed::Absent(Absence::Removed));
            }
        }
    }

    /// The change to `wanted` was not made, and `plan` is in force as before, serving `served`: what was opened for the
    /// change is closed.
    pub(super) fn undo(
        &mut self,
        plan: &Plan,
        wanted: BTreeSet<String>,
        served: &BTreeSet<String>,
    ) {
        let mut opened = wanted;
        opened.append(&mut self.waiting.clone());
        for id in opened.difference(served) {
            if plan.has_handler(id) {
                if self.waiting.insert(id.clone()) {
                    self.owed.insert(id.clone(), Owed::Absent(Absence::Waiting));
                }
                continue;
            }
            self.waiting.remove(id);
            let owed = if self.known.contains(id) {
                Owed::Absent(Absence::Removed)
            } else {
                Owed::Undone
            };
            self.owed.insert(id.clone(), owed);
        }
    }

    /// Tells the journal what it has not been told yet. What cannot be told is told with the next call.
    pub(super) async fn tell(&mut self, journal: &dyn Journal) {
        while let Some((id, owed)) = self.owed.first_key_value() {
            let (id, owed) = (id.clone(), *owed);
            if let Err(error) = tell(journal, &id, owed).await {
                tracing::warn!(
                    handler.name = id,
                    error = &error as &dyn std::error::Error,
                    "the journal was not told that nobody serves `{id}`: it is told again"
                );
                return;
            }
            if !matches!(owed, Owed::Absent(Absence::Waiting)) {
                tracing::info!(
                    handler.name = id,
                    "handler `{id}` is not in the wiring any more"
                );
            }
            self.owed.remove(&id);
        }
    }
}

impl Plan {
    /// Is this handler in the wiring, whether or not anybody serves it? Of a plugin whose file is not loaded, every
    /// handler is.
    fn has_handler(&self, id: &str) -> bool {
        let instance = id.split('.').next().unwrap_or_default();
        let operator = self.config.wiring.handlers.get(id);
        self.wiring.handlers.iter().any(|bound| bound.id == id)
            || self.find(instance).is_some_and(|installed| {
                Installed::loaded(installed).is_none() || operator.is_some_and(|it| !it.enabled)
            })
    }
}

async fn known(journal: &dyn Journal) -> Result<BTreeSet<String>, JournalError> {
    let handlers = journal.stats().await?.handlers;
    Ok(handlers.into_iter().map(|it| it.handler).collect())
}

async fn tell(journal: &dyn Journal, id: &str, owed: Owed) -> Result<(), JournalError> {
    match owed {
        Owed::Absent(absence) => journal.leave(id, absence).await,
        Owed::Undone => {
            if known(journal).await?.contains(id) {
                // Bound to nothing it gathers nothing.
                drop(journal.open(HandlerSpec::new(id, Vec::new())).await?);
            }
            journal.leave(id, Absence::Removed).await
        }
    }
}
