//! `#[plugin]`: collects the surface of an impl block and exports it.

mod write;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Result, ReturnType, Type,
};

use crate::check::{self, Check};
use crate::command::Command;
use crate::handler::Handler;
use crate::options;
use crate::route::Route;
use crate::schedule::Schedule;
use crate::step::Step;

/// The attributes that `#[plugin]` reads on methods.
const KINDS: [&str; 9] = [
    "route", "handler", "step", "schedule", "command", "check", "start", "health", "stop",
];

/// What the impl block says.
#[derive(Default)]
struct Surface {
    /// Where `tokio` stands in `#[plugin(tokio)]`.
    tokio: Option<Span>,
    routes: Vec<Route>,
    handlers: Vec<Handler>,
    steps: Vec<Step>,
    schedules: Vec<Schedule>,
    commands: Vec<Command>,
    checks: Vec<Check>,
    start: Option<(Ident, Type)>,
    health: Option<Ident>,
    stop: Option<Ident>,
}

pub(crate) fn expand(tokens: TokenStream, mut item: ItemImpl) -> Result<TokenStream> {
    let tokio = runtime(tokens)?;
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new_spanned(
            path,
            "`#[plugin]` goes on the plugin's own impl block, not on a trait's",
        ));
    }
    let mut surface = Surface {
        tokio,
        ..Surface::default()
    };
    surface.take(&mut item)?;
    let plugin = (*item.self_ty).clone();
    let settings = surface
        .start
        .as_ref()
        .map_or_else(|| plugin.clone(), |(_, settings)| settings.clone());
    let implementation = surface.implementation(&plugin, &settings);
    let checks = surface.routes.iter().map(|route| route.check(&settings));
    let export = surface.export(&plugin);
    Ok(quote! {
        #item
        #implementation
        #(#checks)*
        #export
    })
}

/// `#[plugin(tokio)]`: does it want a tokio runtime of its own?
fn runtime(tokens: TokenStream) -> Result<Option<Span>> {
    let mut tokio = None;
    let each = syn::meta::parser(|meta| {
        if !meta.path.is_ident("tokio") {
            return Err(options::unknown(&meta, "plugin option", &["tokio"]));
        }
        tokio = Some(meta.path.span());
        Ok(())
    });
    syn::parse::Parser::parse2(each, tokens)?;
    Ok(tokio)
}

impl Surface {
    /// Reads the attributes of the methods and takes them away. Every mistake is told, not the first alone.
    fn take(&mut self, item: &mut ItemImpl) -> Result<()> {
        let mut errors: Option<Error> = None;
        for inner in &mut item.items {
            let ImplItem::Fn(function) = inner else {
                continue;
            };
            if let Err(error) = self.read(function) {
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
        errors.map_or(Ok(()), Err)
    }

    fn read(&mut self, function: &mut ImplItemFn) -> Result<()> {
        let ours = |attribute: &Attribute| KINDS.iter().any(|kind| attribute.path().is_ident(kind));
        let attributes: Vec<Attribute> =
            function.attrs.iter().filter(|a| ours(a)).cloned().collect();
        function.attrs.retain(|attribute| !ours(attribute));
        let attribute = match &attributes[..] {
            [] => return misspelt(&function.attrs),
            [attribute] => attribute,
            [_, second, ..] => {
                let text = "a method is one of a route, a handler, a step, a schedule, a command, a check, the start, \
                            the health and the stop";
                return Err(Error::new_spanned(second, text));
            }
        };
        let kind = attribute.path().get_ident().map(ToString::to_string);
        match kind.as_deref() {
            Some("route") => self.routes.push(Route::read(attribute, function)?),
            Some("handler") => self.handlers.push(Handler::read(attribute, function)?),
            Some("step") => self.steps.push(Step::read(attribute, function)?),
            Some("schedule") => self.schedules.push(Schedule::read(attribute, function)?),
            Some("command") => self.commands.push(Command::read(attribute, function)?),
            Some("check") => self.checks.push(Check::read(attribute, function)?),
            Some("health") => {
                let hook = check::hook(attribute, function, "health")?;
                once(self.health.replace(hook), attribute, "health")?;
            }
            Some("stop") => {
                let hook = check::hook(attribute, function, "stop")?;
                once(self.stop.replace(hook), attribute, "stop")?;
            }
            _ => once(self.start.replace(start(function)?), attribute, "start")?,
        }
        Ok(())
    }
}

fn once<T>(before: Option<T>, attribute: &Attribute, kind: &str) -> Result<()> {
    match before {
        None => Ok(()),
        Some(_) => {
            let text = format!("a plugin has one {kind} function");
            Err(Error::new_spanned(attribute, text))
        }
    }
}

/// An attribute that is almost one of ours: the compiler would only say that it does not know it.
fn misspelt(attributes: &[Attribute]) -> Result<()> {
    const OTHERS: [&str; 14] = [
        "doc",
        "cfg",
        "cfg_attr",
        "allow",
        "expect",
        "warn",
        "deny",
        "forbid",
        "must_use",
        "inline",
        "cold",
        "track_caller",
        "deprecated",
        "instrument",
    ];
    for attribute in attributes {
        let Some(found) = attribute.path().get_ident().map(ToString::to_string) else {
            continue;
        };
        if OTHERS.contains(&found.as_str()) {
            continue;
        }
        if let Some(meant) = options::nearest(&found, &KINDS) {
            let text = format!("unknown attribute `{found}` (did you mean `{meant}`?)");
            return Err(Error::new_spanned(attribute.path(), text));
        }
    }
    Ok(())
}

/// The name of the `#[start]` function, and the type of the settings that it takes.
fn start(function: &ImplItemFn) -> Result<(Ident, Type)> {
    let name = function.sig.ident.clone();
    match function.sig.inputs.iter().collect::<Vec<_>>()[..] {
        [FnArg::Typed(settings), FnArg::Typed(_)]
            if function.sig.asyncness.is_some()
                && !matches!(function.sig.output, ReturnType::Default) =>
        {
            Ok((name, (*settings.ty).clone()))
        }
        _ => {
            let text = "a start function is `async fn start(settings: S, ctx: &Context) -> Result<Self, StartError>`";
            Err(Error::new(name.span(), text))
        }
    }
}
