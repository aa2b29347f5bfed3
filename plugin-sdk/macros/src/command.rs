//! `#[command]` on a method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, ImplItemFn, Meta, Result};

use crate::method::{Kind, Method};
use crate::terms::option;
use crate::{duration, options};

const KIND: Kind = Kind {
    name: "command",
    takes: "`&self`, `ctx: &Context`, and at most one struct of arguments",
    returns: "`Result<String, CommandError>`",
    input: None,
    readers: "operators read it",
};

pub(crate) struct Command {
    method: Method,
    timeout_ms: Option<u64>,
}

impl Command {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        let mut timeout_ms = None;
        if !matches!(attribute.meta, Meta::Path(_)) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("timeout") {
                    return Err(options::unknown(&meta, "command option", &["timeout"]));
                }
                timeout_ms = Some(duration::millis(&meta.value()?.parse()?)?);
                Ok(())
            })?;
        }
        Ok(Self {
            method: Method::read(function, &KIND)?,
            timeout_ms,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let named = self.method.named();
        let timeout = option(self.timeout_ms.map(|ms| quote!(#ms)));
        let arguments = match &self.method.takes {
            Some(ty) => quote!(::coordinator_sdk::__private::data_schema::<#ty>()),
            None => quote!(::coordinator_sdk::__private::serde_json::Value::Null),
        };
        quote! {
            ::coordinator_sdk::__private::manifest::Command {
                #named
                arguments: #arguments,
                timeout_ms: #timeout,
            }
        }
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        self.method.row("command", "")
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let function = &self.method.name;
        let arguments =
            self.method.takes.as_ref().map(
                |ty| quote!(::coordinator_sdk::__private::decode_arguments::<#ty>(arguments)?),
            );
        let call = quote_spanned! {self.method.place=>
            ::coordinator_sdk::__private::IntoOutput::into_output(self.#function(ctx, #arguments).await?)?
        };
        quote!(#index => ::core::result::Result::Ok(#call))
    }
}
