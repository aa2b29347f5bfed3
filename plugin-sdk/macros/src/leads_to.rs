//! What a handler or a step leads to, where its author says so: `emits = [Type, …]`, `runs = ["pipeline", …]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::punctuated::Punctuated;
use syn::{LitStr, Result, Token, Type, bracketed, token};

use crate::name;

/// See the head of this file.
#[derive(Default)]
pub(crate) struct LeadsTo {
    emits: Vec<Type>,
    runs: Vec<LitStr>,
}

impl LeadsTo {
    /// Reads `emits = […]`.
    pub(crate) fn read_emits(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        self.emits = list(meta, "message types, such as `emits = [PaymentReceived]`")?;
        Ok(())
    }

    /// Reads `runs = […]`.
    pub(crate) fn read_runs(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let example = "org.example.order.history.v1";
        self.runs = list(
            meta,
            "names of pipelines, such as `runs = [\"org.example.order.history.v1\"]`",
        )?;
        self.runs
            .iter()
            .try_for_each(|pipeline| name::check(pipeline, "pipeline's name", example))
    }

    /// The fields of the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Self { emits, runs } = self;
        quote! {
            emits: ::std::vec![#(<#emits as ::coordinator_sdk::Message>::TYPE.into()),*],
            runs: ::std::vec![#(#runs.into()),*],
        }
    }
}

fn list<T: Parse>(meta: &ParseNestedMeta<'_>, expected: &str) -> Result<Vec<T>> {
    let value = meta.value()?;
    if !value.peek(token::Bracket) {
        return Err(value.error(format!("expected a list of {expected}")));
    }
    let items;
    bracketed!(items in value);
    let items = Punctuated::<T, Token![,]>::parse_terminated(&items)?;
    Ok(items.into_iter().collect())
}
