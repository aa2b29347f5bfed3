//! `#[settings]`: a struct that an operator fills in.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Error, Expr, Field, Fields, GenericArgument, ItemStruct, PathArguments, Result, Type};

use crate::{docs, options, row};

pub(crate) fn expand(tokens: TokenStream, mut item: ItemStruct) -> Result<TokenStream> {
    if !tokens.is_empty() {
        return Err(Error::new_spanned(tokens, "`#[settings]` takes no options"));
    }
    let name = item.ident.clone();
    if matches!(item.fields, Fields::Unnamed(_)) {
        return Err(Error::new(
            name.span(),
            "settings have named fields: operators write their names",
        ));
    }
    let (mut described, mut rows, mut defaults) = (Vec::new(), Vec::new(), Vec::new());
    for field in &mut item.fields {
        let setting = Setting::read(field)?;
        described.push(setting.describe());
        rows.push(setting.row());
        defaults.extend(setting.default_function(&name, field));
    }
    let rows = rows.concat();
    Ok(quote! {
        #[derive(
            ::coordinator_sdk::__private::serde::Deserialize,
            ::coordinator_sdk::__private::schemars::JsonSchema,
        )]
        #[serde(crate = "::coordinator_sdk::__private::serde", deny_unknown_fields)]
        #[schemars(crate = "::coordinator_sdk::__private::schemars")]
        #item

        #(#defaults)*

        impl ::coordinator_sdk::__private::Settings for #name {
            const ROWS: &'static str = #rows;
            fn describe() -> ::std::vec::Vec<::coordinator_sdk::__private::manifest::Setting> {
                ::std::vec![#(#described),*]
            }
        }
    })
}

struct Setting {
    name: String,
    doc: String,
    kind: &'static str,
    default: Option<Expr>,
    required: bool,
}

impl Setting {
    /// Reads the field and takes its `#[setting(…)]` away.
    fn read(field: &mut Field) -> Result<Self> {
        // `r#type` is the setting `type`.
        let name = field.ident.as_ref().map(IdentExt::unraw);
        let name = name.map(|name| name.to_string()).unwrap_or_default();
        let doc = docs::summary(&field.attrs);
        if doc.is_empty() {
            let text =
                format!("setting `{name}` needs a doc comment: operators read it in the reference");
            return Err(Error::new_spanned(&field.ident, text));
        }
        let default = take_default(field)?;
        let required = default.is_none() && last_segment(&field.ty).as_deref() != Some("Option");
        Ok(Self {
            name,
            doc,
            kind: kind(&field.ty),
            default,
            required,
        })
    }

    fn describe(&self) -> TokenStream {
        let Self {
            name,
            doc,
            kind,
            required,
            ..
        } = self;
        quote! {
            ::coordinator_sdk::__private::manifest::Setting {
                name: #name.into(), doc: #doc.into(), kind: #kind.into(), required: #required,
            }
        }
    }

    fn row(&self) -> String {
        format!(
            "{{\"setting\":{},\"kind\":\"{}\",\"required\":{},\"doc\":{}}}\n",
            row::json_string(&self.name),
            self.kind,
            self.required,
            row::json_string(&self.doc)
        )
    }

    /// `#[serde(default = …)]` takes a function's name, so the expression becomes one.
    fn default_function(&self, owner: &syn::Ident, field: &mut Field) -> Option<TokenStream> {
        let default = self.default.as_ref()?;
        let function = format_ident!("__default_{}_{}", owner, self.name);
        let path = function.to_string();
        let ty = &field.ty;
        field
            .attrs
            .push(syn::parse_quote!(#[serde(default = #path)]));
        Some(quote! {
            #[doc(hidden)]
            #[expect(non_snake_case, reason = "named after the struct and the field")]
            fn #function() -> #ty { ::core::convert::Into::into(#default) }
        })
    }
}

fn take_default(field: &mut Field) -> Result<Option<Expr>> {
    let mut default = None;
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("setting"))
    {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") {
                default = Some(meta.value()?.parse::<Expr>()?);
                Ok(())
            } else {
                Err(options::unknown(&meta, "setting option", &["default"]))
            }
        })?;
    }
    field
        .attrs
        .retain(|attribute| !attribute.path().is_ident("setting"));
    Ok(default)
}

/// By the name of the type: the host resolves secrets, and takes URLs as origins that the plugin may call.
fn kind(ty: &Type) -> &'static str {
    match last_segment(ty).as_deref() {
        Some("Secret") => "secret",
        Some("Url") => "url",
        Some("Vec") if inner(ty).as_deref() == Some("Secret") => "secrets",
        Some("Option") => match inner(ty).as_deref() {
            Some("Secret") => "secret",
            Some("Url") => "url",
            _ => "value",
        },
        _ => "value",
    }
}

fn last_segment(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    path.path
        .segments
        .last()
        .map(|segment| segment.ident.to_string())
}

fn inner(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => last_segment(ty),
        _ => None,
    }
}
