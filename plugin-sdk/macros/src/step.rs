//! `#[step]` on a method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, ImplItemFn, LitStr, Meta, Result, Token, Type};

use crate::method::{Kind, Method};
use crate::terms::option;
use crate::{duration, name, options, row};

const KIND: Kind = Kind {
    name: "step",
    takes: "`&self`, `ctx: &Context`, and the value that the steps before it made",
    returns: "`Result<Flow<T>, StepError>`",
    input: Some(true),
    readers: "operators read it",
};
const EXAMPLE: &str = "org.example.order.history.v1";

pub(crate) struct Step {
    method: Method,
    input: Type,
    pipeline: LitStr,
    timeout_ms: Option<u64>,
}

impl Step {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        if matches!(attribute.meta, Meta::Path(_)) {
            return Err(Error::new_spanned(attribute, no_pipeline()));
        }
        let (pipeline, timeout_ms) = attribute.parse_args_with(arguments)?;
        name::check(&pipeline, "pipeline's name", EXAMPLE)?;
        let mut method = Method::read(function, &KIND)?;
        let input = method.takes.take().expect("a step takes an input");
        Ok(Self {
            method,
            input,
            pipeline,
            timeout_ms,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Self {
            method,
            input,
            pipeline,
            timeout_ms,
        } = self;
        let (named, answers) = (method.named(), &method.answers);
        let timeout = option(timeout_ms.map(|ms| quote!(#ms)));
        let output = quote_spanned!(method.place=> ::coordinator_sdk::__private::answer_schema::<#answers>());
        quote! {
            ::coordinator_sdk::__private::manifest::Step {
                #named
                pipeline: #pipeline.into(),
                input: ::coordinator_sdk::__private::data_schema::<#input>(),
                output: #output,
                timeout_ms: #timeout,
            }
        }
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        let pipeline = row::json_string(&self.pipeline.value());
        self.method
            .row("step", &format!(",\"pipeline\":{pipeline}"))
    }

    /// The arm that runs it.
    pub(crate) fn arm(&self, index: u32) -> TokenStream {
        let (function, input) = (&self.method.name, &self.input);
        let input = quote!(::coordinator_sdk::__private::decode_step::<#input>(value)?);
        let call = quote_spanned! {self.method.place=>
            ::coordinator_sdk::__private::encode_step(self.#function(ctx, #input).await)
        };
        quote!(#index => #call)
    }
}

fn no_pipeline() -> String {
    format!("a step names its pipeline first, such as `#[step(\"{EXAMPLE}\")]`")
}

fn arguments(input: ParseStream<'_>) -> Result<(LitStr, Option<u64>)> {
    let pipeline: LitStr = input
        .parse()
        .map_err(|error| Error::new(error.span(), no_pipeline()))?;
    let mut timeout_ms = None;
    if input.is_empty() {
        return Ok((pipeline, timeout_ms));
    }
    input.parse::<Token![,]>()?;
    let rest: TokenStream = input.parse()?;
    let each = syn::meta::parser(|meta: ParseNestedMeta<'_>| {
        if !meta.path.is_ident("timeout") {
            return Err(options::unknown(&meta, "step option", &["timeout"]));
        }
        timeout_ms = Some(duration::millis(&meta.value()?.parse()?)?);
        Ok(())
    });
    each.parse2(rest)?;
    Ok((pipeline, timeout_ms))
}
