//! A method of the plugin that the manifest names: its name, its documentation, what it takes and what it answers.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Error, Ident, ImplItemFn, Result, ReturnType, Type};

use crate::{docs, row, signature};

pub(crate) struct Method {
    pub(crate) name: Ident,
    pub(crate) doc: String,
    /// Beside `&self` and `ctx`.
    pub(crate) takes: Option<Type>,
    pub(crate) answers: Type,
    pub(crate) place: Span,
}

/// What a kind of method takes, for its author.
pub(crate) struct Kind {
    /// `step`, `command` …
    pub(crate) name: &'static str,
    /// ``"`&self`, `ctx: &Context`, and …"``
    pub(crate) takes: &'static str,
    /// ``"`Result<…>`"``
    pub(crate) returns: &'static str,
    /// Does it take something beside `ctx`: must it (`Some(true)`), may it (`None`), or not (`Some(false)`)?
    pub(crate) input: Option<bool>,
    /// Who reads its documentation.
    pub(crate) readers: &'static str,
}

impl Method {
    pub(crate) fn read(function: &ImplItemFn, kind: &Kind) -> Result<Self> {
        let name = function.sig.ident.clone();
        let doc = docs::summary(&function.attrs);
        if doc.is_empty() {
            let text = format!(
                "{} `{name}` needs a doc comment: {}",
                kind.name, kind.readers
            );
            return Err(Error::new(name.span(), text));
        }
        let takes = signature::read(function, kind.name, kind.takes)?;
        if kind.input.is_some_and(|wanted| wanted != takes.is_some()) {
            let text = format!("a {} takes {}", kind.name, kind.takes);
            return Err(Error::new(name.span(), text));
        }
        let answers = match &function.sig.output {
            ReturnType::Type(_, answers) => (**answers).clone(),
            ReturnType::Default => syn::parse_quote!(()),
        };
        Ok(Self {
            name,
            doc,
            takes,
            answers,
            place: signature::answer(function, kind.name, kind.returns)?,
        })
    }

    /// `name: …, doc: …,` of a manifest's entry.
    pub(crate) fn named(&self) -> TokenStream {
        let (name, doc) = (self.name.unraw().to_string(), &self.doc);
        quote!(name: #name.into(), doc: #doc.into(),)
    }

    /// Its line in the ELF section; `more` is further pairs, each with a comma before it.
    pub(crate) fn row(&self, kind: &str, more: &str) -> String {
        format!(
            "{{\"{kind}\":{}{more},\"doc\":{}}}\n",
            row::json_string(&self.name.unraw().to_string()),
            row::json_string(&self.doc)
        )
    }
}
