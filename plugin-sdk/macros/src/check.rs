//! `#[check]`, `#[health]` and `#[stop]` on methods: they take nothing but what is lent.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Error, Ident, ImplItemFn, Meta, Result};

use crate::method::{Kind, Method};
use crate::signature;

const KIND: Kind = Kind {
    name: "check",
    takes: "`&self` and `ctx: &Context`",
    returns: "`Vec<Finding>`",
    input: Some(false),
    readers: "operators read it",
};

pub(crate) struct Check(Method);

impl Check {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        plain(attribute, "check")?;
        Ok(Self(Method::read(function, &KIND)?))
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let named = self.0.named();
        quote!(::coordinator_sdk::__private::manifest::Check { #named })
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        self.0.row("check", "")
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let function = &self.0.name;
        let call = quote_spanned!(self.0.place=> self.#function(ctx).await);
        quote!(#index => #call)
    }
}

/// A method that a plugin has once: the name of the function.
pub(crate) fn hook(attribute: &Attribute, function: &ImplItemFn, kind: &str) -> Result<Ident> {
    plain(attribute, kind)?;
    let takes = "`&self` and `ctx: &Context`";
    let taken = signature::read(function, &format!("{kind} function"), takes)?;
    if kind == "health" {
        signature::answer(function, "health function", "`Result<(), HealthError>`")?;
    }
    match taken {
        None => Ok(function.sig.ident.clone()),
        Some(_) => {
            let text = format!("a {kind} function takes {takes}");
            Err(Error::new(function.sig.ident.span(), text))
        }
    }
}

fn plain(attribute: &Attribute, kind: &str) -> Result<()> {
    if matches!(attribute.meta, Meta::Path(_)) {
        return Ok(());
    }
    let text = format!("`#[{kind}]` takes no options");
    Err(Error::new_spanned(&attribute.meta, text))
}
