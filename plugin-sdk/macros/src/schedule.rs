//! `#[schedule]` on a method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, ImplItemFn, LitStr, Meta, Result, Token};

use crate::duration::{self, Backoff};
use crate::method::{Kind, Method};
use crate::terms::{self, option};
use crate::{cron, options, row};

const KIND: Kind = Kind {
    name: "schedule",
    takes: "`&self` and `ctx: &Context`",
    returns: "`Result<(), HandlerError>`",
    input: Some(false),
    readers: "operators read it",
};
const OPTIONS: [&str; 4] = ["zone", "max_attempts", "backoff", "timeout"];
const NO_CRON: &str =
    "a schedule says when, as cron does: `#[schedule(\"0 3 * * *\", zone = \"Europe/Berlin\")]`";

pub(crate) struct Schedule {
    method: Method,
    arguments: Arguments,
}

struct Arguments {
    cron: LitStr,
    zone: Option<LitStr>,
    max_attempts: Option<u32>,
    backoff: Option<(u64, u64)>,
    timeout_ms: Option<u64>,
}

impl Schedule {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        if matches!(attribute.meta, Meta::Path(_)) {
            return Err(Error::new_spanned(attribute, NO_CRON));
        }
        let arguments = attribute.parse_args_with(arguments)?;
        Ok(Self {
            method: Method::read(function, &KIND)?,
            arguments,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Arguments {
            cron,
            zone,
            max_attempts,
            backoff,
            timeout_ms,
        } = &self.arguments;
        let named = self.method.named();
        let zone = option(zone.as_ref().map(|zone| quote!(#zone.into())));
        let max_attempts = option(max_attempts.map(|n| quote!(#n)));
        let backoff = option(backoff.map(|(min, max)| quote!((#min, #max))));
        let timeout = option(timeout_ms.map(|ms| quote!(#ms)));
        quote! {
            ::coordinator_sdk::__private::manifest::Schedule {
                #named
                cron: #cron.into(),
                zone: #zone,
                max_attempts: #max_attempts,
                backoff_ms: #backoff,
                timeout_ms: #timeout,
            }
        }
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        let cron = row::json_string(&self.arguments.cron.value());
        let zone = self.arguments.zone.as_ref().map(LitStr::value);
        let zone = row::json_string(zone.as_deref().unwrap_or("UTC"));
        self.method
            .row("schedule", &format!(",\"cron\":{cron},\"zone\":{zone}"))
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let function = &self.method.name;
        let call = quote_spanned!(self.method.place=> self.#function(ctx).await);
        quote!(#index => #call)
    }
}

fn arguments(input: ParseStream<'_>) -> Result<Arguments> {
    let cron: LitStr = input
        .parse()
        .map_err(|error| Error::new(error.span(), NO_CRON))?;
    cron::check(&cron)?;
    let mut arguments = Arguments {
        cron,
        zone: None,
        max_attempts: None,
        backoff: None,
        timeout_ms: None,
    };
    if input.is_empty() {
        return Ok(arguments);
    }
    input.parse::<Token![,]>()?;
    let rest: TokenStream = input.parse()?;
    let each = syn::meta::parser(|meta: ParseNestedMeta<'_>| {
        match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("zone") => {
                let zone = meta.value()?.parse()?;
                cron::check_zone(&zone)?;
                arguments.zone = Some(zone);
            }
            Some("max_attempts") => {
                arguments.max_attempts = Some(terms::positive(&meta.value()?.parse()?)?);
            }
            Some("backoff") => {
                let literal: LitStr = meta.value()?.parse()?;
                arguments.backoff = match duration::backoff(&literal)? {
                    range @ Backoff::Range(..) => Some(range.ends()),
                    Backoff::List(_) => {
                        let text = "a schedule's backoff is the shortest and the longest, such as \"2s..15m\"";
                        return Err(Error::new(literal.span(), text));
                    }
                };
            }
            Some("timeout") => {
                arguments.timeout_ms = Some(duration::millis(&meta.value()?.parse()?)?);
            }
            _ => return Err(options::unknown(&meta, "schedule option", &OPTIONS)),
        }
        Ok(())
    });
    each.parse2(rest)?;
    Ok(arguments)
}
