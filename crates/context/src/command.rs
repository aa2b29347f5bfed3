//! Commands of plugins: what an operator runs by name, on a thread of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordinator_abi::call::{FailureMeta, ResponseMeta};
use coordinator_abi::code::{op, outcome};
use coordinator_abi::{Outcome, SharedBytes};

use crate::plugin::Plugin;
use crate::port::{Port, Scope};

/// A command in progress. Dropping it leaves the command running: what it has begun may be half done.
pub type Commanding = Pin<Box<dyn Future<Output = CommandReply> + Send>>;

/// Something that runs a command.
pub trait CommandTarget: Send + Sync + 'static {
    /// Runs it with `arguments`, a JSON object.
    fn run(&self, arguments: Bytes) -> Commanding;
}

/// What a command answered.
#[derive(Debug)]
pub enum CommandReply {
    /// Done.
    Done {
        /// `text/plain` or `application/json`.
        content_type: String,
        /// What it says.
        output: Bytes,
    },
    /// The arguments do not fit.
    Usage(Vec<String>),
    /// It failed: the error, then its causes.
    Failed(Vec<String>),
    /// It panicked; the first entry says what and where.
    Panicked(Vec<String>),
    /// It took too long. What it had begun is not undone.
    TimedOut(Duration),
    /// Its plugin does not run.
    Unavailable,
}

/// One command of a running plugin.
pub struct PluginCommand {
    plugin: Arc<Plugin>,
    index: u32,
    timeout: Duration,
}

impl PluginCommand {
    /// Command number `index` of `plugin`, which may take this long.
    #[must_use]
    pub fn new(plugin: Arc<Plugin>, index: u32, timeout: Duration) -> Self {
        Self {
            plugin,
            index,
            timeout,
        }
    }
}

impl CommandTarget for PluginCommand {
    fn run(&self, arguments: Bytes) -> Commanding {
        let (plugin, index, timeout) = (Arc::clone(&self.plugin), self.index, self.timeout);
        let Some(pass) = plugin.enter() else {
            return Box::pin(std::future::ready(CommandReply::Unavailable));
        };
        let io = plugin.shared().services.io.clone();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let named = std::thread::Builder::new().name(format!("command-{}", plugin.name()));
        let spawned = named.spawn(move || {
            let _pass = pass;
            let port = Port::new(Arc::clone(plugin.shared()), Scope::Route, None);
            let call = plugin.call(
                op::COMMAND,
                index,
                Arc::new(port),
                SharedBytes::new(),
                arguments.into(),
            );
            let ran = io.block_on(async { tokio::time::timeout(timeout, call).await });
            // Nobody may be listening any more.
            let _ = answer.send(ran.map_or(CommandReply::TimedOut(timeout), reply));
        });
        Box::pin(async move {
            if let Err(error) = spawned {
                let text = format!("the operating system gave no thread: {error}");
                return CommandReply::Failed(vec![text]);
            }
            // One that blocks its thread is not ended by its timeout.
            match tokio::time::timeout(timeout + GRACE, answered).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => CommandReply::Failed(vec!["it ended without an answer".to_owned()]),
                Err(_) => CommandReply::TimedOut(timeout),
            }
        })
    }
}

/// A command that ends at its timeout has answered by then.
const GRACE: Duration = Duration::from_secs(1);

fn reply(answer: Outcome) -> CommandReply {
    let chain = |answer: &Outcome| FailureMeta::of(answer).chain;
    match answer.code {
        outcome::OK => {
            let head = ResponseMeta::decode(&answer.meta).ok();
            let content_type = head.and_then(|head| {
                let mut headers = head.headers.into_iter();
                let (_, value) = headers.find(|(name, _)| name == "content-type")?;
                String::from_utf8(value).ok()
            });
            CommandReply::Done {
                content_type: content_type.unwrap_or_else(|| "text/plain".to_owned()),
                output: answer.body.into_bytes(),
            }
        }
        outcome::REJECTED => CommandReply::Usage(chain(&answer)),
        outcome::PANICKED => CommandReply::Panicked(chain(&answer)),
        outcome::UNAVAILABLE | outcome::UNSUPPORTED => CommandReply::Unavailable,
        _ => CommandReply::Failed(chain(&answer)),
    }
}
