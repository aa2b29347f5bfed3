//! `#[handler]` on a method.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Attribute, Error, Ident, ImplItemFn, Result, Type};

use crate::terms::Terms;
use crate::{docs, row, signature};

const TAKES: &str = "`&self`, `ctx: &Context`, and one message";
const RETURNS: &str = "`Result<(), HandlerError>`";

pub(crate) struct Handler {
    function: Ident,
    message: Type,
    answer: Span,
    doc: String,
    terms: Terms,
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
            answer: signature::answer(function, "handler", RETURNS)?,
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
        let name = function.unraw().to_string();
        let terms = terms.describe();
        quote! {
            ::coordinator_sdk::__private::manifest::Handler {
                name: #name.into(),
                doc: #doc.into(),
                ty: <#message as ::coordinator_sdk::Message>::TYPE.into(),
                #terms
            }
        }
    }

    /// Parts of its line in the ELF section.
    pub(crate) fn row(&self) -> TokenStream {
        let message = &self.message;
        let head = format!(
            "{{\"handler\":{},\"type\":\"",
            row::json_string(&self.function.unraw().to_string())
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
