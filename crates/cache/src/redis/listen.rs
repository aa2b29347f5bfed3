//! Listening to a channel of the server, over a connection of its own, for as long as somebody wants to hear.

use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::{Client, RedisResult};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{Heard, Subscription};

/// Messages that wait for a slow subscriber; beyond, the server closes the connection when its own buffer is full.
const WAITING: usize = 256;
/// A connection that is silent for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);
/// Waits before the server is looked for again: at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Begins to listen.
pub(super) fn subscribe(client: Client, channel: String, patience: Duration) -> Subscription {
    let (tell, heard) = mpsc::channel(WAITING);
    let reading = tokio::spawn(read(client, channel, patience, tell));
    Subscription::server(heard, reading.abort_handle())
}

/// Listens, and begins again whenever the connection ends, until nobody hears it.
async fn read(client: Client, channel: String, patience: Duration, tell: mpsc::Sender<Heard>) {
    let mut pause = PAUSES.0;
    while !tell.is_closed() {
        match listen(&client, &channel, patience, &tell).await {
            Ok(()) => pause = PAUSES.0,
            Err(error) => {
                tracing::debug!(
                    error = %error,
                    "the cache's channel is not heard, next attempt in {pause:?}"
                );
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Until the connection ends. An error: it could not be made.
async fn listen(
    client: &Client,
    channel: &str,
    patience: Duration,
    tell: &mpsc::Sender<Heard>,
) -> RedisResult<()> {
    let connecting = async {
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        RedisResult::Ok(connection)
    };
    let Ok(connected) = timeout(patience, connecting).await else {
        return Ok(());
    };
    let (mut asking, mut messages) = connected?.split();
    if tell.send(Heard::Missed).await.is_err() {
        return Ok(());
    }
    loop {
        match timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => {
                let message = Bytes::copy_from_slice(message.get_payload_bytes());
                if tell.send(Heard::Message(message)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(_) => {
                let answered = timeout(patience, asking.ping::<Vec<String>>()).await;
                if !matches!(answered, Ok(Ok(_))) {
                    return Ok(());
                }
            }
        }
    }
}
