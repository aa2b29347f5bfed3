//! A handler that is not served any more: its stream ends, and what it was handed out waits again.

use std::collections::BTreeSet;

use sea_orm::sqlx::query;

use super::{Writer, choosing};
use crate::Absence;
use crate::sqlite::error::StoreError;
use crate::sqlite::load;

impl Writer {
    /// See [`crate::Journal::leave`].
    pub(super) async fn leave(&mut self, name: &str, absence: Absence) -> Result<(), StoreError> {
        let outcome = self.try_leave(name, absence).await;
        self.checked(outcome)
    }

    async fn try_leave(&mut self, name: &str, absence: Absence) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let now = shared.clock.now();
        // Once it is ours, no stream is about to hand something out.
        let _turn = choosing::hold(&shared, [Some(name)].into_iter()).await;
        let found = {
            let state = shared.state();
            state.handler_named(name).map(|(id, handler)| {
                // What is handed out is not passed by it.
                let place = state.read_by(handler);
                (id, handler.cursor.after(&BTreeSet::new(), place))
            })
        };
        let Some((id, (upto, done))) = found else {
            return Ok(());
        };
        let mut transaction = self.begin().await?;
        load::save_cursor(&mut transaction, id, upto, &done).await?;
        query("UPDATE handler SET seen = ? WHERE id = ?")
            .bind(now.as_millis())
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        let mut handler = load::handler(&mut transaction, id).await?;
        transaction.commit().await?;

        let mut state = shared.state();
        handler.open = absence == Absence::Waiting;
        let mut returned = false;
        if let Some(earlier) = state.handlers.remove(&id) {
            returned = earlier.cursor.hands_out();
            handler.generation = earlier.generation + 1;
            handler.reading = earlier.reading;
            earlier.wake.notify_one();
        }
        state.handlers.insert(id, handler);
        drop(state);
        if returned {
            shared.given_back();
        }
        Ok(())
    }
}
