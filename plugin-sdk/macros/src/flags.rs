//! `#[flags]`: switches that operators turn.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Error, Field, Fields, Ident, ItemStruct, LitBool, Result, Type};

use crate::{docs, options, row};

pub(crate) fn expand(tokens: TokenStream, item: &ItemStruct) -> Result<TokenStream> {
    if !tokens.is_empty() {
        return Err(Error::new_spanned(tokens, "`#[flags]` takes no options"));
    }
    let name = &item.ident;
    let Fields::Named(fields) = &item.fields else {
        let text = "flags are named fields: operators write their names";
        return Err(Error::new(name.span(), text));
    };
    let flags: Vec<Flag> = fields.named.iter().map(Flag::read).collect::<Result<_>>()?;
    let consts = flags.iter().map(Flag::constant);
    let described = flags.iter().map(Flag::describe);
    let rows = flags.iter().map(Flag::row).collect::<String>();
    let (attributes, visibility) = (&item.attrs, &item.vis);
    Ok(quote! {
        #(#attributes)*
        #visibility struct #name;

        impl #name {
            #(#consts)*
        }

        const _: () = {
            const LINES: &[u8] = #rows.as_bytes();
            #[used]
            #[unsafe(link_section = ".coordinator.types")]
            static ROWS: [u8; LINES.len()] = *LINES.first_chunk().expect("the lines are as long as themselves");

            fn describe() -> ::std::vec::Vec<::coordinator_sdk::__private::manifest::Flag> {
                ::std::vec![#(#described),*]
            }

            ::coordinator_sdk::__private::inventory::submit! {
                ::coordinator_sdk::__private::KnownFlags { describe, rows: &ROWS }
            }
        };
    })
}

struct Flag {
    name: Ident,
    doc: String,
    default: bool,
}

impl Flag {
    fn read(field: &Field) -> Result<Self> {
        // `r#type` is the flag `type`.
        let name = field.ident.as_ref().expect("the fields are named").unraw();
        let doc = docs::summary(&field.attrs);
        if doc.is_empty() {
            let text = format!("flag `{name}` needs a doc comment: operators read it");
            return Err(Error::new(name.span(), text));
        }
        if !matches!(&field.ty, Type::Path(path) if path.path.is_ident("bool")) {
            let text = format!("flag `{name}` is a `bool`: it is on or off");
            return Err(Error::new_spanned(&field.ty, text));
        }
        let mut default = false;
        for attribute in &field.attrs {
            if attribute.path().is_ident("flag") {
                attribute.parse_nested_meta(|meta| {
                    if !meta.path.is_ident("default") {
                        return Err(options::unknown(&meta, "flag option", &["default"]));
                    }
                    default = meta.value()?.parse::<LitBool>()?.value;
                    Ok(())
                })?;
            } else if attribute.path().is_ident("cfg") {
                let text = "a flag is there or is not: it cannot depend on a `cfg`";
                return Err(Error::new_spanned(attribute, text));
            }
        }
        Ok(Self { name, doc, default })
    }

    fn constant(&self) -> TokenStream {
        let Self { name, doc, default } = self;
        let text = name.to_string();
        let constant = format_ident!("{}", text.to_uppercase(), span = name.span());
        quote! {
            #[doc = #doc]
            pub const #constant: ::coordinator_sdk::Flag = ::coordinator_sdk::Flag::new(#text, #default);
        }
    }

    fn describe(&self) -> TokenStream {
        let Self { name, doc, default } = self;
        let name = name.to_string();
        quote! {
            ::coordinator_sdk::__private::manifest::Flag {
                name: #name.into(), doc: #doc.into(), default: #default,
            }
        }
    }

    fn row(&self) -> String {
        format!(
            "{{\"flag\":{},\"default\":{},\"doc\":{}}}\n",
            row::json_string(&self.name.to_string()),
            self.default,
            row::json_string(&self.doc)
        )
    }
}
