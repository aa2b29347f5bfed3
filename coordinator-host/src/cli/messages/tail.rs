//! `coordinator messages tail`: messages as they are accepted, until Ctrl-C.
//!
//! A connection that breaks is made anew where the last event said. Each connection is read on a thread of its own, and
//! what it hears comes together with Ctrl-C in one channel, so that neither waits for the other.

use std::io::{self, BufRead as _, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::cli::client::{CallError, Client};
use crate::cli::exit::{Failure, OK, UNAVAILABLE};
use crate::cli::options::{Format, Options};
use crate::cli::output;

/// The host says something at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// How long it waits before it connects again.
const PAUSE: Duration = Duration::from_secs(2);

/// Which messages.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Only of this type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// Only with a delivery to this handler, such as `lms.enrol`.
    #[arg(long)]
    handler: Option<String>,
    /// Only with this ordering key.
    #[arg(long)]
    key: Option<String>,
    /// Where to go on, as an event of the API said.
    #[arg(long)]
    cursor: Option<String>,
}

/// What reaches the one who prints.
enum Heard {
    /// Ctrl-C.
    Interrupted,
    /// Of the connection with this number.
    Of(u64, Said),
}

/// What a connection says.
enum Said {
    /// It stands.
    Connected,
    /// From here on it is to go on, and perhaps a message.
    Event(Option<String>, Option<String>),
    /// It is over; with a reason, or as a host ends that stops.
    Ended(Option<CallError>),
}

#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(rename = "type")]
    ty: String,
    key: Option<String>,
    accepted: Option<String>,
}

/// Ctrl-C cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[error("failed to wait for Ctrl-C")]
struct NoSignals(#[source] io::Error);

impl Tail {
    pub(super) fn run(&self, options: &Options) -> Result<u8, Failure> {
        let client = options.client()?;
        let (sender, heard) = channel();
        interrupts(sender.clone()).map_err(|error| Failure::new(UNAVAILABLE, NoSignals(error)))?;
        let mut place = self.cursor.clone();
        let mut number = 0;
        let mut connected = false;
        loop {
            number += 1;
            self.connect(&client, place.clone(), number, sender.clone());
            let lost = match hear(&heard, number, &mut place, &mut connected, options)? {
                Over::Interrupted => return Ok(OK),
                Over::Lost(lost) => lost,
            };
            if !connected {
                return Err(lost.map_or_else(|| Failure::new(UNAVAILABLE, Refused), Failure::from));
            }
            match lost {
                // It comes back, or it has no place for us now.
                None | Some(CallError::Unreachable { .. }) => {}
                Some(CallError::Refused(problem)) if problem.is_unavailable() => {}
                Some(error) => return Err(error.into()),
            }
            output::note("the connection is lost: connecting again")?;
            if matches!(heard.recv_timeout(PAUSE), Ok(Heard::Interrupted)) {
                return Ok(OK);
            }
        }
    }

    fn connect(&self, client: &Client, place: Option<String>, number: u64, sender: Sender<Heard>) {
        let filters = [
            ("type", self.ty.clone()),
            ("handler", self.handler.clone()),
            ("key", self.key.clone()),
            ("cursor", place),
        ];
        let client = client.clone();
        std::thread::spawn(move || {
            // Who prints may be gone: then nobody is left to tell.
            let say = |said| sender.send(Heard::Of(number, said)).is_ok();
            let answer = match client.follow(&["messages", "tail"], &filters) {
                Ok(answer) => answer,
                Err(error) => {
                    say(Said::Ended(Some(error)));
                    return;
                }
            };
            let mut go_on = say(Said::Connected);
            let (mut id, mut data) = (None, None);
            let mut lines = BufReader::new(answer).lines();
            while let (true, Some(Ok(line))) = (go_on, lines.next()) {
                match line.split_once(": ") {
                    Some(("id", place)) => id = Some(place.to_owned()),
                    Some(("data", message)) => data = Some(message.to_owned()),
                    // An event counts once it is whole.
                    None if line.is_empty() => go_on = say(Said::Event(id.take(), data.take())),
                    _ => {}
                }
            }
            say(Said::Ended(None));
        });
    }
}

/// The first connection ended before it began.
#[derive(Debug, thiserror::Error)]
#[error("the host ended the connection\n  (it stops, or another program answers there)")]
struct Refused;

/// Why nothing more is heard of a connection.
enum Over {
    /// Ctrl-C.
    Interrupted,
    /// It was lost, perhaps with a reason.
    Lost(Option<CallError>),
}

/// Prints what one connection says, until it is over.
fn hear(
    heard: &Receiver<Heard>,
    number: u64,
    place: &mut Option<String>,
    connected: &mut bool,
    options: &Options,
) -> Result<Over, Failure> {
    loop {
        match heard.recv_timeout(SILENCE) {
            Ok(Heard::Interrupted) => return Ok(Over::Interrupted),
            Ok(Heard::Of(other, _)) if other != number => {}
            Ok(Heard::Of(_, Said::Connected)) => *connected = true,
            Ok(Heard::Of(_, Said::Event(id, message))) => {
                if let Some(message) = message {
                    print(&message, options)?;
                }
                *place = id.or_else(|| place.take());
            }
            Ok(Heard::Of(_, Said::Ended(reason))) => return Ok(Over::Lost(reason)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Ok(Over::Lost(None));
            }
        }
    }
}

fn print(message: &str, options: &Options) -> Result<(), Failure> {
    let line: Option<Line> = match options.output {
        Format::Json => None,
        Format::Table => serde_json::from_str(message).ok(),
    };
    match line {
        None => output::line(message)?,
        Some(Line {
            id,
            ty,
            key,
            accepted,
        }) => {
            let accepted = accepted.unwrap_or_default();
            let key = key.unwrap_or_else(|| "-".to_owned());
            let text = format!("{accepted}  {id}  {ty}  {key}");
            output::line(&crate::cli::exit::printable(&text).replace('\n', " "))?;
        }
    }
    Ok(())
}

/// Tells of Ctrl-C.
fn interrupts(sender: Sender<Heard>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signal = {
        let _within = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?
    };
    std::thread::spawn(move || {
        runtime.block_on(signal.recv());
        // The command may have ended by itself.
        let _ = sender.send(Heard::Interrupted);
    });
    Ok(())
}
