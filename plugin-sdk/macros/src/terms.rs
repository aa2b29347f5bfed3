//! The options of `#[handler(…)]`: how it is to be run.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Error, LitInt, LitStr, Meta, Result};

use crate::duration::{self, Backoff};
use crate::leads_to::LeadsTo;
use crate::options;

const OPTIONS: [&str; 9] = [
    "max_attempts",
    "backoff",
    "timeout",
    "concurrency",
    "rate",
    "order",
    "on_exhausted",
    "emits",
    "runs",
];

/// What the author asks for and declares. What is absent is the host's to say.
#[derive(Default)]
pub(crate) struct Terms {
    max_attempts: Option<u32>,
    backoff: Option<Backoff>,
    timeout_ms: Option<u64>,
    concurrency: Option<u32>,
    rate: Option<(u32, u64)>,
    order: Option<String>,
    on_exhausted: Option<(String, Span)>,
    leads_to: LeadsTo,
}

impl Terms {
    pub(crate) fn read(attribute: &Attribute) -> Result<Self> {
        let mut terms = Self::default();
        if matches!(attribute.meta, Meta::Path(_)) {
            return Ok(terms);
        }
        attribute.parse_nested_meta(|meta| {
            let number = || positive(&meta.value()?.parse()?);
            let text = || meta.value()?.parse::<LitStr>();
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("max_attempts") => terms.max_attempts = Some(number()?),
                Some("concurrency") => terms.concurrency = Some(number()?),
                Some("timeout") => terms.timeout_ms = Some(duration::millis(&text()?)?),
                Some("backoff") => terms.backoff = Some(duration::backoff(&text()?)?),
                Some("rate") => terms.rate = Some(duration::rate(&text()?)?),
                Some("order") => {
                    terms.order = Some(word(&text()?, "order", &["key", "none"])?);
                }
                Some("on_exhausted") => {
                    let text = text()?;
                    let known = ["dead-letter", "hold-key", "dead-letter-key"];
                    let word = word(&text, "end", &known)?;
                    terms.on_exhausted = Some((word, text.span()));
                }
                Some("emits") => terms.leads_to.read_emits(&meta)?,
                Some("runs") => terms.leads_to.read_runs(&meta)?,
                _ => return Err(options::unknown(&meta, "handler option", &OPTIONS)),
            }
            Ok(())
        })?;
        terms.check()?;
        Ok(terms)
    }

    /// What makes sense only together.
    fn check(&self) -> Result<()> {
        match &self.on_exhausted {
            Some((word, span)) if word != "dead-letter" && self.order.as_deref() != Some("key") => {
                let text = format!(
                    "`{word}` is about messages of one ordering key: write `order = \"key\"` beside it"
                );
                Err(Error::new(*span, text))
            }
            _ => Ok(()),
        }
    }

    /// The fields of the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let max_attempts = option(self.max_attempts.map(|n| quote!(#n)));
        let timeout = option(self.timeout_ms.map(|n| quote!(#n)));
        let concurrency = option(self.concurrency.map(|n| quote!(#n)));
        let rate = option(self.rate.map(|(count, per_ms)| quote!((#count, #per_ms))));
        let order = option(self.order.as_ref().map(|word| quote!(#word.into())));
        let on_exhausted = self.on_exhausted.as_ref();
        let on_exhausted = option(on_exhausted.map(|(word, _)| quote!(#word.into())));
        let ends = self.backoff.as_ref().map(Backoff::ends);
        let backoff = option(ends.map(|(min, max)| quote!((#min, #max))));
        let waits = self.backoff.as_ref().map_or(&[][..], Backoff::waits);
        let leads_to = self.leads_to.describe();
        quote! {
            max_attempts: #max_attempts,
            backoff_ms: #backoff,
            backoff_waits_ms: ::std::vec![#(#waits),*],
            timeout_ms: #timeout,
            concurrency: #concurrency,
            rate: #rate,
            order: #order,
            on_exhausted: #on_exhausted,
            #leads_to
        }
    }
}

/// A whole number above zero.
pub(crate) fn positive(literal: &LitInt) -> Result<u32> {
    match literal.base10_parse::<u32>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Error::new(
            literal.span(),
            "expected a whole number above zero",
        )),
    }
}

/// The text, if it is one of `known`.
fn word(literal: &LitStr, what: &str, known: &[&str]) -> Result<String> {
    let text = literal.value();
    if known.contains(&text.as_str()) {
        Ok(text)
    } else {
        let problem = options::unknown_text(&text, what, known);
        Err(Error::new(literal.span(), problem))
    }
}

/// An option's value, as an expression.
pub(crate) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
