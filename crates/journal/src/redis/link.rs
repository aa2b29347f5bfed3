//! Connections, and scripts run over them.
//!
//! One multiplexed connection carries what is published, one the other scripts of the hot path, which would stand behind
//! that, and another what operators look at, so that a long list stands before neither. All come back by themselves after the server was away; a command meanwhile fails.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerErrorKind, ToRedisArgs,
    Value, cmd, pipe,
};

use super::error::StoreError;

/// How long an answer may take. A write without an answer may have happened: it is reported as failed, and may be
/// repeated, since ids and tokens make the second one nothing.
const ANSWER: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// A connection that many use at once.
#[derive(Clone)]
pub(super) struct Link(ConnectionManager);

/// A script: one transition, atomic.
#[derive(Debug)]
pub(super) struct Script {
    code: String,
    hash: String,
}

/// What a script is given.
pub(super) struct Call {
    cmd: Cmd,
}

// === impl Link ===

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    pub(super) async fn connect(client: &Client) -> Result<Self, ::redis::RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(200))
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        ConnectionManager::new_with_config(client.clone(), config)
            .await
            .map(Self)
    }

    /// Runs one command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(command.query_async(&mut self.0.clone()).await?)
    }

    /// Runs commands in one go; not a transaction.
    pub(super) async fn pipe<T: FromRedisValue>(&self, pipe: &Pipeline) -> Result<T, StoreError> {
        Ok(pipe.query_async(&mut self.0.clone()).await?)
    }

    /// As [`Self::run`], for what changes nothing: asked once more if the connection turns out to be gone, so that the
    /// first one who looks after an outage is not told of it.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        match self.run(command).await {
            Err(error) if is_gone(&error) => self.run(command).await,
            answer => answer,
        }
    }

    /// As [`Self::pipe`]; see [`Self::read`].
    pub(super) async fn read_all<T: FromRedisValue>(
        &self,
        pipe: &Pipeline,
    ) -> Result<T, StoreError> {
        match self.pipe(pipe).await {
            Err(error) if is_gone(&error) => self.pipe(pipe).await,
            answer => answer,
        }
    }

    /// As [`Self::call`]; see [`Self::read`].
    pub(super) async fn read_by<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Call,
    ) -> Result<T, StoreError> {
        match self.call(script, call).await {
            Err(error) if is_gone(&error) => self.call(script, call).await,
            answer => answer,
        }
    }

    /// Runs commands and after them a script, in one transaction. A command that fails does not keep the rest from being
    /// done: the script has to see it. It is called as [`Script::whole`].
    pub(super) async fn after<T: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
        call: Call,
    ) -> Result<T, StoreError> {
        let mut all = pipe();
        all.atomic().ignore_errors();
        for command in commands {
            all.add_command(command).ignore();
        }
        all.add_command(call.cmd);
        let (answer,): (Result<T, RedisError>,) = all.query_async(&mut self.0.clone()).await?;
        Ok(answer?)
    }

    /// Runs a script; loads it first if the server does not have it (any more).
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &Call,
    ) -> Result<T, StoreError> {
        let mut connection = self.0.clone();
        match call.cmd.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(&script.code);
                load.query_async::<()>(&mut connection).await?;
                Ok(call.cmd.query_async(&mut connection).await?)
            }
            answer => Ok(answer?),
        }
    }
}

/// Was it the connection that failed?
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Server(error) if error.is_io_error() && !error.is_timeout())
}

// === impl Script ===

impl Script {
    /// `flags` are those of Redis 7 (`allow-oom`, `no-writes`); without any, a full server refuses the whole script.
    pub(super) fn new(flags: &str, bodies: &[&str]) -> Self {
        let flags = if flags.is_empty() {
            String::new()
        } else {
            format!(" flags={flags}")
        };
        let bodies = [&[MESSAGE], bodies].concat().join("\n");
        let says = |line: &&str| !line.is_empty() && !line.starts_with("--");
        let lines: Vec<&str> = bodies.lines().map(str::trim).filter(says).collect();
        let code = format!("#!lua{flags}\n{}", lines.join("\n"));
        let hash = ::redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Begins a call of it by its name.
    pub(super) fn with(&self, keys: &[String]) -> Call {
        Self::call("EVALSHA", &self.hash, keys)
    }

    /// Begins a call with all its code, of which a server cannot say that it does not know it.
    pub(super) fn whole(&self, keys: &[String]) -> Call {
        Self::call("EVAL", &self.code, keys)
    }

    fn call(by: &str, what: &str, keys: &[String]) -> Call {
        let mut cmd = cmd(by);
        cmd.arg(what).arg(keys.len());
        for key in keys {
            cmd.arg(key);
        }
        Call { cmd }
    }
}

/// How scripts read a message.
const MESSAGE: &str = include_str!("message.lua");
/// Functions that the scripts about deliveries share.
pub(super) const LIB: &str = include_str!("lib.lua");

/// A script that is made when it is first used.
pub(super) type Lazy = LazyLock<Script>;

// === impl Call ===

impl Call {
    /// One more argument.
    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.cmd.arg(arg);
        self
    }
}

/// The items of an array; nothing else has any.
pub(super) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// The bytes of a string; nothing else has any.
pub(super) fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        _ => &[],
    }
}
