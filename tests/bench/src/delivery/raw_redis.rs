//! The upper bound of the Redis engine: the same messages through a bare loop of pipelined XADD, XREADGROUP and XACK.

use std::time::Instant;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client};
use serde_json::{Value, json};

use crate::Measures;
use crate::engine;
use crate::load::per_second;
use crate::stage::Maker;

const LOG: &str = "{bare}:s";
const GROUP: &str = "bench";
/// Commands of one pipeline, entries of one read: as many as there are publishers in a load.
const BATCH: usize = 256;

/// Messages a second, until the last ack.
pub(crate) async fn measure(measures: &Measures) -> Result<Value> {
    let server = engine::server(measures.engine);
    let client = Client::open(server.url())?;
    let mut first = connect(&client).await?;
    let _: () = first.xgroup_create_mkstream(LOG, GROUP, "0").await?;
    let begun = Instant::now();
    let publisher = publish(first, Maker::new(measures), measures.messages);
    let publisher = tokio::spawn(publisher);
    let reader = tokio::spawn(read(connect(&client).await?, measures.messages));
    publisher.await??;
    reader.await??;
    let rate = per_second(measures.messages as u64, begun.elapsed());
    Ok(json!({ "messages_per_s": rate }))
}

async fn connect(client: &Client) -> Result<MultiplexedConnection> {
    // A blocking read takes as long as it takes.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

async fn publish(mut to: MultiplexedConnection, maker: Maker, messages: usize) -> Result<()> {
    let mut sent = 0;
    while sent < messages {
        let mut pipeline = redis::pipe();
        for number in sent..(sent + BATCH).min(messages) {
            let message = maker.make(number).envelope;
            let fields: [(&str, &[u8]); 3] = [
                ("t", message.ty.as_str().as_bytes()),
                ("i", message.id.as_bytes().as_slice()),
                ("d", &message.data),
            ];
            pipeline.xadd(LOG, "*", &fields).ignore();
        }
        pipeline.query_async::<()>(&mut to).await?;
        sent += BATCH;
    }
    Ok(())
}

async fn read(mut from: MultiplexedConnection, messages: usize) -> Result<()> {
    let options = StreamReadOptions::default()
        .group(GROUP, "one")
        .count(BATCH)
        .block(1_000);
    let mut acked = 0;
    while acked < messages {
        let reply: Option<StreamReadReply> = from.xread_options(&[LOG], &[">"], &options).await?;
        let ids: Vec<String> = reply
            .into_iter()
            .flat_map(|reply| reply.keys)
            .flat_map(|key| key.ids)
            .map(|entry| entry.id)
            .collect();
        if !ids.is_empty() {
            acked += ids.len();
            let _: u64 = from.xack(LOG, GROUP, &ids).await?;
        }
    }
    Ok(())
}
