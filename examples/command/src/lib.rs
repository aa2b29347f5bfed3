//! Reindexes a catalogue when an operator says so: `coordinator run command reindex --json '{"limit": 100}'`.
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;

/// A course is to be indexed.
#[message("org.example.course.stale.v1", key = "course")]
pub struct CourseStale {
    /// Which one.
    pub course: String,
}

/// What to index.
#[data]
pub struct Reindex {
    /// Courses of this organisation only.
    pub organisation: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// What became of it.
#[data]
pub struct Reindexed {
    /// So many are on their way.
    pub courses: u32,
}

/// Switches of the catalogue.
#[flags]
pub struct Switches {
    /// Lets operators reindex by hand.
    #[flag(default = true)]
    by_hand: bool,
}

/// Settings of the catalogue.
#[settings]
pub struct Command {
    /// Courses that there are.
    #[setting(default = 3_u32)]
    courses: u32,
}

#[plugin]
impl Command {
    /// Has courses indexed anew.
    #[command(timeout = "1m")]
    async fn reindex(
        &self,
        ctx: &Context,
        asked: Reindex,
    ) -> Result<Json<Reindexed>, CommandError> {
        if !ctx.flag(Switches::BY_HAND) {
            return Err(CommandError::new(
                "reindexing by hand is switched off: turn `by_hand` on",
            ));
        }
        if asked.limit == 0 {
            return Err(CommandError::new("`limit` must be above zero"));
        }
        let organisation = asked.organisation.as_deref().unwrap_or("any");
        let courses = asked.limit.min(self.courses);
        for number in 1..=courses {
            let course = format!("{organisation}-{number}");
            ctx.publish(CourseStale { course }).await?;
        }
        Ok(Json(Reindexed { courses }))
    }

    /// Says how many courses there are.
    #[command]
    async fn count(&self, _ctx: &Context) -> Result<String, CommandError> {
        Ok(format!("{} courses", self.courses))
    }

    /// Looks whether there is anything to index.
    #[check]
    async fn courses(&self, _ctx: &Context) -> Vec<Finding> {
        if self.courses > 0 {
            return Vec::new();
        }
        let finding = Finding::warning("command.no-courses", "there are no courses to index");
        vec![finding.hint("set `courses` in the plugin's settings above zero")]
    }
}

#[cfg(test)]
mod tests;
