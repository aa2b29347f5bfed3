//! What other hosts have stored in the database that they share with this one: it is put in force here, too.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::current::Current;
use super::error::AppError;
use super::house::{House, Scope};
use super::store::Decided;

/// What could not be put in force is tried again after this time: what keeps it out may be over by then.
const AGAIN: Duration = Duration::from_secs(30);

/// A revision that could not be put in force here.
pub(super) struct Refused {
    revision: u64,
    why: String,
    again: Instant,
}

impl House {
    /// Puts in force what another host has stored since; answers its revision, if there is one. What the journal has
    /// not been told yet, it is told.
    ///
    /// # Errors
    ///
    /// What is wrong with it here, once; everything is as it was. It is tried again now and then.
    pub(crate) async fn follow(&self) -> Result<Option<u64>, AppError> {
        let mut current = self.current().await;
        let journal = self.publisher().journal();
        current.absent.tell(&**journal).await;
        let found = self.store().revision().await.map_err(AppError::Store)?;
        let refused = current.refused.as_ref();
        let refused = refused.filter(|refused| refused.revision == found);
        if found == current.revision || refused.is_some_and(|it| Instant::now() < it.again) {
            return Ok(None);
        }
        match self.catch_up(&mut current).await {
            Ok(revision) => Ok(Some(revision)),
            Err(AppError::Store(error)) => Err(AppError::Store(error)),
            Err(error) => {
                let why = error.to_string();
                let is_news = refused_before(&current, found) != Some(why.as_str());
                current.refused = Some(Refused {
                    revision: found,
                    why,
                    again: Instant::now() + AGAIN,
                });
                self.behind_counter().store(found, Ordering::Relaxed);
                if is_news { Err(error) } else { Ok(None) }
            }
        }
    }

    /// Puts in force what the store holds now; answers its revision.
    ///
    /// # Errors
    ///
    /// What is wrong with it here; everything is as it was.
    pub(super) async fn catch_up(&self, current: &mut Current) -> Result<u64, AppError> {
        let mut snapshot = self.store().snapshot().await.map_err(AppError::Store)?;
        let missing = self.find_files(&current.plan, &mut snapshot);
        let decided = Decided::of(current.config(), &snapshot, missing)?;
        let scope = Scope {
            floors: decided.floors,
            missing: decided.missing,
            ..Scope::default()
        };
        let plan = self.prepare(current, decided.config, scope).await?;
        self.swap(current, plan).await?;
        self.is_at(current, decided.revision);
        Ok(decided.revision)
    }
}

/// Why this revision was refused the last time.
fn refused_before(current: &Current, revision: u64) -> Option<&str> {
    let refused = current.refused.as_ref()?;
    (refused.revision == revision).then_some(refused.why.as_str())
}
