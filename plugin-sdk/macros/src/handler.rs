//! `#[handler]` on a method.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Error, Ident, ImplItemFn, LitInt, LitStr, Meta, Result, Type};

use crate::{docs, duration, options, row, signature};

const TAKES: &str = "`&self`, `ctx: &Context`, and one message";
const OPTIONS: [&str; 4] = ["max_attempts", "backoff", "timeout", "concurrency"];

pub(crate) struct Handler {
    function: Ident,
    message: Type,
    answer: Span,
    doc: String,
    terms: Terms,
}

#[derive(Default)]
struct Terms {
    max_attempts: Option<u32>,
    backoff_ms: Option<(u64, u64)>,
    timeout_ms: Option<u64>,
    concurrency: Option<u32>,
}

impl Handler {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        let name = function.sig.ident.clone();
        let doc = docs::summary(&function.attrs);
        if doc.is_empty() {
            let text = format!("handler `{name}` needs a doc comment: operators read it");
            return Err(Error::new(name.span(), text));
        }
        let message = signature::read(function, "handler", TAKES)?;
        let message =
            message.ok_or_else(|| Error::new(name.span(), format!("a handler takes {TAKES}")))?;
        Ok(Self {
            function: name,
            message,
            answer: signature::answer(function),
            doc,
            terms: Terms::read(attribute)?,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Self {
            function,
            message,
            doc,
            terms,
            ..
        } = self;
        let name = function.to_string();
        let max_attempts = option(terms.max_attempts.map(|n| quote!(#n)));
        let backoff = option(terms.backoff_ms.map(|(min, max)| quote!((#min, #max))));
        let timeout = option(terms.timeout_ms.map(|n| quote!(#n)));
        let concurrency = option(terms.concurrency.map(|n| quote!(#n)));
        quote! {
            ::coordinator_sdk::__private::manifest::Handler {
                name: #name.into(),
                doc: #doc.into(),
                ty: <#message as ::coordinator_sdk::Message>::TYPE.into(),
                max_attempts: #max_attempts,
                backoff_ms: #backoff,
                timeout_ms: #timeout,
                concurrency: #concurrency,
            }
        }
    }

    /// Parts of its line in the ELF section.
    pub(crate) fn row(&self) -> TokenStream {
        let message = &self.message;
        let head = format!(
            "{{\"handler\":{},\"type\":\"",
            row::json_string(&self.function.to_string())
        );
        let tail = format!("\",\"doc\":{}}}\n", row::json_string(&self.doc));
        quote!(#head, <#message as ::coordinator_sdk::Message>::TYPE, #tail)
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let Self {
            function, message, ..
        } = self;
        let payload = quote! {
            ::coordinator_sdk::__private::decode::<#message>(
                <#message as ::coordinator_sdk::Message>::TYPE, payload,
            )?
        };
        let call = quote_spanned!(self.answer=> self.#function(ctx, #payload).await);
        quote!(#index => #call)
    }
}

impl Terms {
    fn read(attribute: &Attribute) -> Result<Self> {
        let mut terms = Self::default();
        if matches!(attribute.meta, Meta::Path(_)) {
            return Ok(terms);
        }
        attribute.parse_nested_meta(|meta| {
            let positive = |literal: LitInt| match literal.base10_parse::<u32>() {
                Ok(n) if n > 0 => Ok(n),
                _ => Err(Error::new(
                    literal.span(),
                    "expected a whole number above zero",
                )),
            };
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("max_attempts") => {
                    terms.max_attempts = Some(positive(meta.value()?.parse()?)?)
                }
                Some("concurrency") => terms.concurrency = Some(positive(meta.value()?.parse()?)?),
                Some("timeout") => {
                    terms.timeout_ms = Some(duration::millis(&meta.value()?.parse::<LitStr>()?)?)
                }
                Some("backoff") => {
                    terms.backoff_ms =
                        Some(duration::range_millis(&meta.value()?.parse::<LitStr>()?)?);
                }
                _ => return Err(options::unknown(&meta, "handler option", &OPTIONS)),
            }
            Ok(())
        })?;
        Ok(terms)
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
