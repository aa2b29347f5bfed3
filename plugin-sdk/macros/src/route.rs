//! `#[route]` on a method.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Ident, ImplItemFn, LitInt, LitStr, MetaNameValue, Result, Token, Type,
    parenthesized,
};

use crate::{docs, duration, options, row, signature};

const TAKES: &str = "`&self`, `ctx: &Context`, and at most one `Request` or `Json<T>`";
const RETURNS: &str = "`Result<Response, RouteError>`";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const SCHEMES: [&str; 2] = ["stripe", "standard_webhooks"];
const SCHEME_OPTIONS: [&str; 1] = ["tolerance"];
const NO_ACCESS: &str = "a route says who may call it: add `verify = SCHEME(setting)`, `auth = public` or \
                         `auth = key(\"scope\")`";

pub(crate) struct Route {
    function: Ident,
    method: String,
    path: LitStr,
    access: Access,
    body_limit: Option<u64>,
    doc: String,
    extractor: Option<Type>,
    answer: Span,
}

enum Access {
    Public,
    Key(LitStr),
    Verify {
        scheme: Ident,
        setting: Ident,
        options: Vec<(String, u64)>,
    },
}

struct Arguments {
    method: String,
    path: LitStr,
    access: Access,
    body_limit: Option<u64>,
}

impl Route {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        let name = function.sig.ident.clone();
        let arguments: Arguments = attribute.parse_args()?;
        let doc = docs::summary(&function.attrs);
        if doc.is_empty() {
            let text =
                format!("route `{name}` needs a doc comment: it becomes the API's reference");
            return Err(Error::new(name.span(), text));
        }
        let extractor = signature::read(function, "route", TAKES)?;
        let Arguments {
            method,
            path,
            access,
            body_limit,
        } = arguments;
        Ok(Self {
            function: name,
            method,
            path,
            access,
            body_limit,
            doc,
            extractor,
            answer: signature::answer(function, "route", RETURNS)?,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Self {
            function,
            method,
            path,
            doc,
            ..
        } = self;
        let name = function.to_string();
        let access = self.access.describe();
        let limit = match self.body_limit {
            Some(bytes) => quote!(::core::option::Option::Some(#bytes)),
            None => quote!(::core::option::Option::None),
        };
        quote! {
            ::coordinator_sdk::__private::manifest::Route {
                name: #name.into(),
                doc: #doc.into(),
                method: #method.into(),
                path: #path.into(),
                access: #access,
                body_limit: #limit,
            }
        }
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        let access = match &self.access {
            Access::Public => "public".to_owned(),
            Access::Key(scope) => format!("key({})", scope.value()),
            Access::Verify {
                scheme, setting, ..
            } => format!("verify {scheme}({setting})"),
        };
        format!(
            "{{\"route\":{},\"method\":\"{}\",\"access\":{},\"doc\":{}}}\n",
            row::json_string(&self.path.value()),
            self.method,
            row::json_string(&access),
            row::json_string(&self.doc)
        )
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let function = &self.function;
        let request = self
            .extractor
            .as_ref()
            .map(|ty| quote!(<#ty as ::coordinator_sdk::FromRequest>::from_request(request)?));
        let call = quote_spanned! {self.answer=>
            ::coordinator_sdk::IntoResponse::into_response(self.#function(ctx, #request).await?)
        };
        quote!(#index => ::core::result::Result::Ok(#call))
    }

    /// A typed access to the setting that holds the secret: a wrong name or type fails under its token.
    pub(crate) fn check(&self, settings: &Type) -> TokenStream {
        let Access::Verify { setting, .. } = &self.access else {
            return TokenStream::new();
        };
        let access = quote_spanned!(setting.span()=> ::coordinator_sdk::__private::is_secret(&settings.#setting));
        quote!(const _: fn(&#settings) = |settings| #access;)
    }
}

impl Access {
    fn describe(&self) -> TokenStream {
        let manifest = quote!(::coordinator_sdk::__private::manifest);
        match self {
            Self::Public => quote!(#manifest::Access::Public),
            Self::Key(scope) => quote!(#manifest::Access::Key(#scope.into())),
            Self::Verify {
                scheme,
                setting,
                options,
            } => {
                let (scheme, setting) = (scheme.to_string(), setting.to_string());
                let pairs = options.iter().map(|(key, value)| {
                    quote!(options.insert(#key.into(), ::coordinator_sdk::__private::serde_json::json!(#value));)
                });
                quote! {
                    #manifest::Access::Verify(#manifest::Verify {
                        scheme: #scheme.into(),
                        setting: #setting.into(),
                        options: {
                            #[allow(unused_mut, reason = "most schemes need no options")]
                            let mut options = ::coordinator_sdk::__private::serde_json::Map::new();
                            #(#pairs)*
                            options
                        },
                    })
                }
            }
        }
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let method: Ident = input.parse()?;
        if !METHODS.contains(&method.to_string().as_str()) {
            let text = options::unknown_text(&method.to_string(), "method", &METHODS);
            return Err(Error::new(method.span(), text));
        }
        input.parse::<Token![,]>()?;
        let path: LitStr = input.parse()?;
        check_path(&path)?;
        let (mut access, mut body_limit) = (None, None);
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            if access.is_some() && (key == "verify" || key == "auth") {
                return Err(Error::new(key.span(), "a route has one kind of access"));
            }
            match key.to_string().as_str() {
                "verify" => access = Some(verify(input)?),
                "auth" => access = Some(auth(input)?),
                "body_limit" => body_limit = Some(duration::bytes(&input.parse()?)?),
                other => {
                    let known = ["verify", "auth", "body_limit"];
                    return Err(Error::new(
                        key.span(),
                        options::unknown_text(other, "route option", &known),
                    ));
                }
            }
        }
        let access = access.ok_or_else(|| Error::new(path.span(), NO_ACCESS))?;
        Ok(Self {
            method: method.to_string().to_uppercase(),
            path,
            access,
            body_limit,
        })
    }
}

fn check_path(path: &LitStr) -> Result<()> {
    let text = path.value();
    if !text.starts_with('/') {
        return Err(Error::new(path.span(), "a route path starts with `/`"));
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~{}".contains(&b);
    if !text.bytes().all(fits) || text.contains("//") || (text.len() > 1 && text.ends_with('/')) {
        return Err(Error::new(
            path.span(),
            "a route path is segments of letters, digits, `-_.~` and `{parameters}`",
        ));
    }
    Ok(())
}

fn auth(input: ParseStream<'_>) -> Result<Access> {
    let kind: Ident = input.parse()?;
    match kind.to_string().as_str() {
        "public" => Ok(Access::Public),
        "key" => {
            let content;
            parenthesized!(content in input);
            Ok(Access::Key(content.parse()?))
        }
        other => Err(Error::new(
            kind.span(),
            options::unknown_text(other, "auth", &["public", "key"]),
        )),
    }
}

fn verify(input: ParseStream<'_>) -> Result<Access> {
    let scheme: Ident = input.parse()?;
    if !SCHEMES.contains(&scheme.to_string().as_str()) {
        let text = options::unknown_text(&scheme.to_string(), "scheme", &SCHEMES);
        return Err(Error::new(scheme.span(), text));
    }
    let content;
    parenthesized!(content in input);
    let setting: Ident = content.parse().map_err(|error| {
        Error::new(
            error.span(),
            "expected the setting that holds the secret, such as `stripe(webhook_secret)`",
        )
    })?;
    let mut options = Vec::new();
    if !content.is_empty() {
        content.parse::<Token![,]>()?;
        for pair in Punctuated::<MetaNameValue, Token![,]>::parse_terminated(&content)? {
            options.push(scheme_option(&pair)?);
        }
    }
    Ok(Access::Verify {
        scheme,
        setting,
        options,
    })
}

fn scheme_option(pair: &MetaNameValue) -> Result<(String, u64)> {
    let key = pair
        .path
        .get_ident()
        .map(ToString::to_string)
        .unwrap_or_default();
    if !SCHEME_OPTIONS.contains(&key.as_str()) {
        let text = options::unknown_text(&key, "scheme option", &SCHEME_OPTIONS);
        return Err(Error::new_spanned(&pair.path, text));
    }
    let value = &pair.value;
    let seconds = syn::parse2::<LitInt>(value.to_token_stream())
        .and_then(|literal| literal.base10_parse::<u64>());
    match seconds {
        Ok(seconds) if seconds > 0 => Ok((key, seconds)),
        _ => Err(Error::new_spanned(
            value,
            "expected seconds, such as `tolerance = 300`",
        )),
    }
}
