//! What operators do to one handler: pause, resume, skip.

use std::collections::BTreeSet;

use sea_orm::sqlx::{SqliteConnection, query};

use super::Writer;
use super::choosing;
use super::waiting::{self, Waiting};
use crate::Control;
use crate::sqlite::cursor::Cursor;
use crate::sqlite::error::StoreError;
use crate::sqlite::load::save_cursor;
use crate::sqlite::order::Order;
use crate::sqlite::rows::json_list;
use crate::sqlite::state::{Handler, State};
use crate::sqlite::window::Window;

impl Writer {
    /// Answers how many deliveries were skipped; `None` if there is no such handler.
    pub(super) async fn control(
        &mut self,
        handler: &str,
        control: Control,
    ) -> Result<Option<u64>, StoreError> {
        let outcome = match control {
            Control::Pause => self.pause(handler, true).await,
            Control::Resume => self.pause(handler, false).await,
            Control::Skip => self.skip(handler).await,
        };
        self.checked(outcome)
    }

    async fn pause(&mut self, name: &str, paused: bool) -> Result<Option<u64>, StoreError> {
        let shared = self.shared.clone();
        // Once this returns, no stream is about to hand something out.
        let _turn = choosing::hold(&shared, [Some(name)].into_iter()).await;
        let Some(id) = id_of(&shared.state(), name) else {
            return Ok(None);
        };
        let mut transaction = self.begin().await?;
        query("UPDATE handler SET paused = ? WHERE id = ?")
            .bind(paused)
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        if let Some(handler) = shared.state().handlers.get_mut(&id) {
            handler.paused = paused;
            handler.wake.notify_one();
        }
        Ok(Some(0))
    }

    /// Moves the cursor to the end of the log, so that it costs as much for a million messages as for one. What is
    /// handed out keeps a row instead.
    async fn skip(&mut self, name: &str) -> Result<Option<u64>, StoreError> {
        let shared = self.shared.clone();
        let _turn = choosing::hold(&shared, [Some(name)].into_iter()).await;
        let Some(id) = id_of(&shared.state(), name) else {
            return Ok(None);
        };
        let (head, rows, again) = {
            let state = shared.state();
            let cursor = &state.handlers[&id].cursor;
            let fresh = cursor.fresh.iter();
            let rows: Vec<Waiting> = fresh
                .map(|(position, handed)| Waiting::unattempted(id, *position, handed))
                .collect();
            (state.head, rows, json_list(cursor.again.keys().copied()))
        };
        let mut transaction = self.begin().await?;
        delete_waiting(&mut transaction, id, &again).await?;
        waiting::save_waiting(&mut transaction, &rows).await?;
        save_cursor(&mut transaction, id, head, &BTreeSet::new()).await?;
        transaction.commit().await?;
        let mut state = shared.state();
        Ok(state
            .handlers
            .get_mut(&id)
            .map(|handler| skip_in_memory(handler, head)))
    }
}

fn id_of(state: &State, name: &str) -> Option<i64> {
    state.handler_named(name).map(|(id, _)| id)
}

/// Deletes every exception row of a handler, but for those that are handed out.
async fn delete_waiting(
    connection: &mut SqliteConnection,
    handler: i64,
    handed_out: &str,
) -> Result<(), StoreError> {
    query(
        "DELETE FROM exception WHERE handler = ? AND seq NOT IN (SELECT value FROM json_each(?))",
    )
    .bind(handler)
    .bind(handed_out)
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves what is handed out, and the ordering keys that it holds. Answers how much is gone.
fn skip_in_memory(handler: &mut Handler, head: u64) -> u64 {
    let before = handler.lag();
    let cursor = std::mem::take(&mut handler.cursor);
    let mut again = cursor.again;
    again.extend(cursor.fresh);
    let mut order = Order::default();
    for key in again.values().filter_map(|handed| handed.key.clone()) {
        order.restore(key, 0);
    }
    handler.order = order;
    handler.unsettled = 0;
    handler.exceptions = again.len() as u64;
    handler.parked = 0;
    handler.due = None;
    handler.due_changes += 1;
    handler.window = Window::starting_at(head);
    handler.cursor = Cursor::restored(head, &[]);
    handler.cursor.again = again;
    handler.wake.notify_one();
    before.saturating_sub(handler.exceptions)
}
