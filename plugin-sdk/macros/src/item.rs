//! What an attribute stands on.

use syn::spanned::Spanned as _;
use syn::{Error, Item, ItemImpl, ItemStruct, Result};

/// The struct under `attribute`.
pub(crate) fn structure(item: Item, attribute: &str) -> Result<ItemStruct> {
    match item {
        Item::Struct(item) => match item.generics.params.first() {
            None => Ok(item),
            Some(parameter) => {
                let text = format!("`#[{attribute}]` is of one struct: it has no type parameters");
                Err(Error::new(parameter.span(), text))
            }
        },
        other => Err(misplaced(&other, attribute, "a struct")),
    }
}

/// The impl block under `#[plugin]`.
pub(crate) fn implementation(item: Item) -> Result<ItemImpl> {
    match item {
        Item::Impl(item) => Ok(item),
        other => Err(misplaced(&other, "plugin", "the plugin's impl block")),
    }
}

/// Under the item's name: the whole of it would be many lines.
pub(crate) fn misplaced(item: &Item, attribute: &str, place: &str) -> Error {
    let name = match item {
        Item::Enum(item) => item.ident.span(),
        Item::Fn(item) => item.sig.ident.span(),
        Item::Struct(item) => item.ident.span(),
        Item::Trait(item) => item.ident.span(),
        Item::Type(item) => item.ident.span(),
        Item::Union(item) => item.ident.span(),
        other => other.span(),
    };
    Error::new(name, format!("`#[{attribute}]` goes on {place}"))
}
