//! `#[data]`, and the derives that every payload type has.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, Result};

use crate::item;

/// The derives of a payload type. The schema is the one that the manifest carries.
pub(crate) fn derives() -> TokenStream {
    quote! {
        #[derive(
            ::core::fmt::Debug,
            ::core::clone::Clone,
            ::core::cmp::PartialEq,
            ::coordinator_sdk::__private::serde::Serialize,
            ::coordinator_sdk::__private::serde::Deserialize,
            ::coordinator_sdk::__private::schemars::JsonSchema,
        )]
        #[serde(crate = "::coordinator_sdk::__private::serde")]
        #[schemars(crate = "::coordinator_sdk::__private::schemars")]
    }
}

pub(crate) fn expand(options: TokenStream, item: Item) -> Result<TokenStream> {
    if !options.is_empty() {
        return Err(syn::Error::new_spanned(
            options,
            "`#[data]` takes no options",
        ));
    }
    if !matches!(item, Item::Struct(_) | Item::Enum(_)) {
        return Err(item::misplaced(&item, "data", "a struct or an enum"));
    }
    let derives = derives();
    Ok(quote! { #derives #item })
}
