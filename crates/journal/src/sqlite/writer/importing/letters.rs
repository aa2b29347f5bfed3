//! Dead letters on their way in.

use sea_orm::sqlx::{Arguments as _, SqliteConnection, query_scalar};

use super::{Incoming, save_attempts};
use crate::sqlite::burial::failure_text;
use crate::sqlite::error::StoreError;
use crate::sqlite::rows::{self, MESSAGE, MESSAGE_COLUMNS};
use crate::{AttemptRecord, DeadLetter};

impl Incoming {
    /// One dead letter, unless it is there or was: then its last attempt still is.
    pub(super) async fn letter(
        &mut self,
        connection: &mut SqliteConnection,
        letter: &DeadLetter,
    ) -> Result<(), StoreError> {
        let message = &letter.message;
        let handler = self.handler_id(connection, &letter.handler).await?;
        let logged: Option<i64> = query_scalar("SELECT seq FROM message WHERE id = ?")
            .bind(message.id.as_bytes().as_slice())
            .fetch_optional(&mut *connection)
            .await?;
        let head = self.head;
        let position = match logged {
            Some(seq) => seq.cast_unsigned(),
            None => self.position(connection, message.id).await?,
        };
        if is_known(connection, handler, position).await? {
            self.head = head;
            return Ok(());
        }
        let ty = self.type_id(connection, &message.ty).await?;
        let accepted = self.accepted_at(connection, position).await?;
        let row = self.row((position, accepted), ty, message);
        let head = format!("INSERT INTO dead ({MESSAGE}, handler, died, attempts, failure)");
        let statement = (head.as_str(), MESSAGE_COLUMNS + 4, "");
        rows::insert(connection, statement, &[row], |arguments, row| {
            rows::bind_message(arguments, row)?;
            arguments.add(handler)?;
            arguments.add(letter.died.as_millis())?;
            arguments.add(letter.attempts)?;
            arguments.add(failure_text(&letter.failure))
        })
        .await?;
        self.handlers.pass(ty, position);
        let last = AttemptRecord {
            replay: 0,
            attempt: letter.attempts,
            failure: letter.failure.clone(),
        };
        let attempts = if letter.attempts > 0 {
            &[last][..]
        } else {
            &[]
        };
        save_attempts(connection, (handler, position), attempts).await
    }
}

/// Is there a dead letter of this delivery, or the attempt that one had?
async fn is_known(
    connection: &mut SqliteConnection,
    handler: i64,
    position: u64,
) -> Result<bool, StoreError> {
    let known = query_scalar(
        "SELECT EXISTS (SELECT 1 FROM dead WHERE handler = ?1 AND seq = ?2)
             OR EXISTS (SELECT 1 FROM attempt WHERE handler = ?1 AND seq = ?2)",
    )
    .bind(handler)
    .bind(position.cast_signed())
    .fetch_one(connection)
    .await?;
    Ok(known)
}
