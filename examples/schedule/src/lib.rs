//! Closes the books of each day at three in the morning, Berlin time.
#![forbid(unsafe_code)]
use coordinator_sdk::prelude::*;

/// The books of a day are to be closed.
#[message("org.example.books.due.v1", key = "ledger")]
pub struct BooksDue {
    /// Which ledger.
    pub ledger: String,
    /// Everything before this belongs to them.
    pub until: Timestamp,
}

/// Settings of the books.
#[settings]
pub struct Schedule {
    /// Ledgers to close.
    ledgers: Vec<String>,
}

#[plugin]
impl Schedule {
    /// Has the books of all ledgers closed. One node does it; what fails is tried again, as a handler is.
    #[schedule(
        "0 3 * * *",
        zone = "Europe/Berlin",
        max_attempts = 5,
        backoff = "1m..30m"
    )]
    async fn close(&self, ctx: &Context) -> Result<(), HandlerError> {
        // When it was due, not when it runs: an attempt an hour later closes the same books.
        let due = ctx.message().map_or_else(|| ctx.now(), |tick| tick.time);
        for ledger in &self.ledgers {
            let books = BooksDue {
                ledger: ledger.clone(),
                until: due,
            };
            ctx.publish(books).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
