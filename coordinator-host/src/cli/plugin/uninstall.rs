//! `coordinator plugin uninstall`: what waits for the plugin is told before it is taken away, and after.

use minreq::Method;
use serde::Deserialize;

use super::live::Named;
use crate::cli::client::Client;
use crate::cli::exit::{Failure, OK};
use crate::cli::options::{Format, Options};
use crate::cli::{confirm, output};

#[derive(Deserialize)]
struct Handlers {
    items: Vec<Handler>,
}

#[derive(Deserialize)]
struct Handler {
    id: String,
    lag: u64,
}

/// What was done.
#[derive(Deserialize)]
struct Uninstalled {
    name: String,
    revision: u64,
    #[serde(default)]
    waiting: Vec<Waiting>,
}

#[derive(Deserialize)]
struct Waiting {
    handler: String,
    deliveries: u64,
}

pub(super) fn run(named: &Named, options: &Options) -> Result<u8, Failure> {
    let client = options.client()?.patient();
    let waiting = waiting_for(&client, &named.name)?;
    let mut question = format!("Take `{}` away, with its settings?", named.name);
    if waiting > 0 {
        question = format!("{waiting} deliveries wait for `{}`. {question}", named.name);
    }
    if !confirm::confirmed(&question, named.yes)? {
        return Ok(OK);
    }
    // What was not said in the question was not confirmed by its answer.
    let confirmed = (named.yes || waiting > 0).to_string();
    let asked = [
        ("confirmed", Some(confirmed)),
        ("comment", named.comment.clone()),
    ];
    let reply = client.change_with(Method::Delete, &["plugins", &named.name], &asked)?;
    if options.output == Format::Json {
        output::line(reply.text())?;
        return Ok(OK);
    }
    let done: Uninstalled = reply.read()?;
    output::line(&format!(
        "uninstalled `{}`, revision {}",
        done.name, done.revision
    ))?;
    for Waiting {
        handler,
        deliveries,
    } in done.waiting
    {
        output::note(&format!(
            "{deliveries} deliveries wait for `{handler}`: they are kept for `journal.retention` and become dead letters then; \
             install `{}` again to have them delivered, or drop them with `coordinator handlers skip {handler}`",
            done.name
        ))?;
    }
    Ok(OK)
}

/// What all handlers of a plugin have not settled.
fn waiting_for(client: &Client, name: &str) -> Result<u64, Failure> {
    let Handlers { items } = client.get(&["handlers"], &[])?.read()?;
    let own = format!("{name}.");
    let own = items.iter().filter(|handler| handler.id.starts_with(&own));
    Ok(own.map(|handler| handler.lag).sum())
}
