//! `#[message]`: a payload type with a name.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned as _;
use syn::{Error, Field, Ident, ItemStruct, LitStr, Result, Token};

use crate::{data, docs, name, options, row};

struct Options {
    ty: LitStr,
    key: Option<LitStr>,
    lane: Option<LitStr>,
}

pub(crate) fn expand(tokens: TokenStream, item: ItemStruct) -> Result<TokenStream> {
    let name = &item.ident;
    if tokens.is_empty() {
        let text = format!(
            "`{name}` needs a type, such as `#[message(\"org.example.thing.happened.v1\")]`"
        );
        return Err(Error::new(name.span(), text));
    }
    let options = parse.parse2(tokens)?;
    name::check(&options.ty, "message type", "org.example.thing.happened.v1")?;
    let doc = docs::summary(&item.attrs);
    if doc.is_empty() {
        let text = format!("message `{name}` needs a doc comment: operators read it");
        return Err(Error::new(name.span(), text));
    }
    let ty = &options.ty;
    let lane = optional(options.lane.as_ref());
    let key = optional(options.key.as_ref());
    let key_of = key_function(&item, options.key.as_ref())?;
    let derives = data::derives();
    let line = format!(
        "{{\"message\":{},\"doc\":{}}}\n",
        row::json_string(&ty.value()),
        row::json_string(&doc)
    );
    let register = register(name, &line);
    Ok(quote! {
        #derives
        #item

        impl ::coordinator_sdk::Message for #name {
            const TYPE: &'static str = #ty;
            const DOC: &'static str = #doc;
            const LANE: ::core::option::Option<&'static str> = #lane;
            const KEY: ::core::option::Option<&'static str> = #key;
            #key_of
        }

        #register
    })
}

/// The line in the ELF section, and the entry that puts the schema into the manifest.
fn register(name: &Ident, line: &str) -> TokenStream {
    quote! {
        const _: () = {
            const LINE: &[u8] = #line.as_bytes();
            #[used]
            #[unsafe(link_section = ".coordinator.types")]
            static ROW: [u8; LINE.len()] = *LINE.first_chunk().expect("the line is as long as itself");

            ::coordinator_sdk::__private::inventory::submit! {
                ::coordinator_sdk::__private::Known {
                    describe: ::coordinator_sdk::__private::describe_message::<#name>,
                    row: &ROW,
                }
            }
        };
    }
}

fn optional(literal: Option<&LitStr>) -> TokenStream {
    match literal {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    }
}

fn parse(input: ParseStream<'_>) -> Result<Options> {
    let ty: LitStr = input.parse().map_err(|error| {
        Error::new(
            error.span(),
            "expected the message type first, such as \"org.example.thing.happened.v1\"",
        )
    })?;
    let mut options = Options {
        ty,
        key: None,
        lane: None,
    };
    if input.is_empty() {
        return Ok(options);
    }
    input.parse::<Token![,]>()?;
    let rest: TokenStream = input.parse()?;
    let each = syn::meta::parser(|meta: ParseNestedMeta<'_>| {
        if meta.path.is_ident("key") {
            options.key = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("lane") {
            options.lane = Some(meta.value()?.parse()?);
        } else {
            return Err(options::unknown(&meta, "message option", &["key", "lane"]));
        }
        Ok(())
    });
    each.parse2(rest)?;
    Ok(options)
}

fn key_function(item: &ItemStruct, key: Option<&LitStr>) -> Result<TokenStream> {
    let Some(key) = key else {
        return Ok(TokenStream::new());
    };
    let names: Vec<String> = item.fields.iter().filter_map(field_name).collect();
    let found = item
        .fields
        .iter()
        .find(|field| field_name(field).as_deref() == Some(&key.value()));
    let Some((name, ty)) = found.and_then(|field| Some((field.ident.as_ref()?, &field.ty))) else {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(Error::new(
            key.span(),
            options::unknown_text(&key.value(), "field", &known),
        ));
    };
    // A type that has no text is told under the field.
    let place = Span::call_site().located_at(ty.span());
    let text = quote_spanned!(place=> ::std::string::ToString::to_string(&self.#name));
    Ok(quote! {
        fn key(&self) -> ::core::option::Option<::std::string::String> {
            ::core::option::Option::Some(#text)
        }
    })
}

fn field_name(field: &Field) -> Option<String> {
    field.ident.as_ref().map(|name| name.unraw().to_string())
}
