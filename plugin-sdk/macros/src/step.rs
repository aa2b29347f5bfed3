//! `#[step]` on a method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, ImplItemFn, LitStr, Meta, Result, Token, Type};

use crate::leads_to::LeadsTo;
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
const OPTIONS: [&str; 3] = ["timeout", "emits", "runs"];

pub(crate) struct Step {
    method: Method,
    input: Type,
    arguments: Arguments,
}

struct Arguments {
    pipeline: LitStr,
    timeout_ms: Option<u64>,
    leads_to: LeadsTo,
}

impl Step {
    pub(crate) fn read(attribute: &Attribute, function: &ImplItemFn) -> Result<Self> {
        if matches!(attribute.meta, Meta::Path(_)) {
            return Err(Error::new_spanned(attribute, no_pipeline()));
        }
        let arguments = attribute.parse_args_with(arguments)?;
        name::check(&arguments.pipeline, "pipeline's name", EXAMPLE)?;
        let mut method = Method::read(function, &KIND)?;
        let input = method.takes.take().expect("a step takes an input");
        Ok(Self {
            method,
            input,
            arguments,
        })
    }

    /// For the manifest.
    pub(crate) fn describe(&self) -> TokenStream {
        let Self { method, input, .. } = self;
        let Arguments {
            pipeline,
            timeout_ms,
            leads_to,
        } = &self.arguments;
        let (named, answers) = (method.named(), &method.answers);
        let timeout = option(timeout_ms.map(|ms| quote!(#ms)));
        let leads_to = leads_to.describe();
        let output = quote_spanned!(method.place=> ::coordinator_sdk::__private::answer_schema::<#answers>());
        quote! {
            ::coordinator_sdk::__private::manifest::Step {
                #named
                pipeline: #pipeline.into(),
                input: ::coordinator_sdk::__private::data_schema::<#input>(),
                output: #output,
                timeout_ms: #timeout,
                #leads_to
            }
        }
    }

    /// Its line in the ELF section.
    pub(crate) fn row(&self) -> String {
        let pipeline = row::json_string(&self.arguments.pipeline.value());
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

fn arguments(input: ParseStream<'_>) -> Result<Arguments> {
    let pipeline: LitStr = input
        .parse()
        .map_err(|error| Error::new(error.span(), no_pipeline()))?;
    let mut arguments = Arguments {
        pipeline,
        timeout_ms: None,
        leads_to: LeadsTo::default(),
    };
    if input.is_empty() {
        return Ok(arguments);
    }
    input.parse::<Token![,]>()?;
    let rest: TokenStream = input.parse()?;
    let each = syn::meta::parser(|meta: ParseNestedMeta<'_>| {
        match meta.path.get_ident().map(ToString::to_string).as_deref() {
            Some("timeout") => {
                arguments.timeout_ms = Some(duration::millis(&meta.value()?.parse()?)?);
            }
            Some("emits") => arguments.leads_to.read_emits(&meta)?,
            Some("runs") => arguments.leads_to.read_runs(&meta)?,
            _ => return Err(options::unknown(&meta, "step option", &OPTIONS)),
        }
        Ok(())
    });
    each.parse2(rest)?;
    Ok(arguments)
}
