//! `#[plugin]`: collects the surface of an impl block and exports it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Result, Type};

use crate::handler::Handler;
use crate::route::Route;

/// What the impl block says.
struct Surface {
    routes: Vec<Route>,
    handlers: Vec<Handler>,
    start: Option<(Ident, Type)>,
}

pub(crate) fn expand(options: TokenStream, mut item: ItemImpl) -> Result<TokenStream> {
    if !options.is_empty() {
        return Err(Error::new_spanned(options, "`#[plugin]` takes no options"));
    }
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new_spanned(
            path,
            "`#[plugin]` goes on the plugin's own impl block, not on a trait's",
        ));
    }
    let surface = Surface::take(&mut item)?;
    let plugin = (*item.self_ty).clone();
    let settings = surface
        .start
        .as_ref()
        .map_or_else(|| plugin.clone(), |(_, settings)| settings.clone());
    let implementation = surface.implementation(&plugin, &settings);
    let checks = surface.routes.iter().map(|route| route.check(&settings));
    let export = surface.export(&plugin);
    Ok(quote! {
        #item
        #implementation
        #(#checks)*
        #export
    })
}

impl Surface {
    /// Reads the attributes of the methods and takes them away.
    fn take(item: &mut ItemImpl) -> Result<Self> {
        let mut surface = Self {
            routes: Vec::new(),
            handlers: Vec::new(),
            start: None,
        };
        let mut errors: Option<Error> = None;
        for inner in &mut item.items {
            let ImplItem::Fn(function) = inner else {
                continue;
            };
            if let Err(error) = surface.read(function) {
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
        match errors {
            Some(errors) => Err(errors),
            None => Ok(surface),
        }
    }

    fn read(&mut self, function: &mut ImplItemFn) -> Result<()> {
        let ours = |attribute: &Attribute| {
            ["route", "handler", "start"]
                .iter()
                .any(|n| attribute.path().is_ident(n))
        };
        let attributes: Vec<Attribute> =
            function.attrs.iter().filter(|a| ours(a)).cloned().collect();
        function.attrs.retain(|attribute| !ours(attribute));
        let attribute = match &attributes[..] {
            [] => return Ok(()),
            [attribute] => attribute,
            [_, second, ..] => {
                let text = "a method is one of a handler, a route and the start";
                return Err(Error::new_spanned(second, text));
            }
        };
        if attribute.path().is_ident("route") {
            self.routes.push(Route::read(attribute, function)?);
        } else if attribute.path().is_ident("handler") {
            self.handlers.push(Handler::read(attribute, function)?);
        } else if self.start.replace(start(function)?).is_some() {
            let text = "a plugin has one start function";
            return Err(Error::new_spanned(attribute, text));
        }
        Ok(())
    }

    fn implementation(&self, plugin: &Type, settings: &Type) -> TokenStream {
        let handlers = self.handlers.iter().map(Handler::describe);
        let routes = self.routes.iter().map(Route::describe);
        let calls = self.calls();
        let start = match &self.start {
            Some((function, _)) => quote!(Self::#function(settings, ctx).await),
            None => quote!(::core::result::Result::Ok(settings)),
        };
        quote! {
            impl ::coordinator_sdk::__private::Plugin for #plugin {
                type Settings = #settings;
                const IDENTITY: ::coordinator_sdk::__private::Identity = ::coordinator_sdk::__private::Identity {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    sdk: ::coordinator_sdk::__private::SDK_VERSION,
                    unwinds: ::core::cfg!(panic = "unwind"),
                };
                const DOC: &'static str = ::core::env!("CARGO_PKG_DESCRIPTION");

                fn handlers() -> ::std::vec::Vec<::coordinator_sdk::__private::manifest::Handler> {
                    ::std::vec![#(#handlers),*]
                }

                fn routes() -> ::std::vec::Vec<::coordinator_sdk::__private::manifest::Route> {
                    ::std::vec![#(#routes),*]
                }

                #[allow(unused_variables, reason = "a plugin need not use everything that is lent")]
                async fn start(
                    settings: Self::Settings,
                    ctx: &::coordinator_sdk::Context,
                ) -> ::core::result::Result<Self, ::coordinator_sdk::StartError> {
                    #start
                }

                #calls
            }
        }
    }

    /// What runs a handler, and what runs a route, by their indices.
    fn calls(&self) -> TokenStream {
        let handler_arms = (0_u32..)
            .zip(&self.handlers)
            .map(|(index, handler)| handler.arm(index));
        let route_arms = (0_u32..)
            .zip(&self.routes)
            .map(|(index, route)| route.arm(index));
        quote! {
            #[allow(unused_variables, reason = "a plugin may have no handlers")]
            async fn handle(
                &self,
                index: u32,
                ctx: &::coordinator_sdk::Context,
                payload: &[u8],
            ) -> ::core::result::Result<(), ::coordinator_sdk::HandlerError> {
                match index {
                    #(#handler_arms,)*
                    other => ::core::result::Result::Err(::coordinator_sdk::__private::no_handler(other)),
                }
            }

            #[allow(unused_variables, reason = "a plugin may have no routes")]
            async fn route(
                &self,
                index: u32,
                ctx: &::coordinator_sdk::Context,
                request: ::coordinator_sdk::Request,
            ) -> ::core::result::Result<::coordinator_sdk::Response, ::coordinator_sdk::RouteError> {
                match index {
                    #(#route_arms,)*
                    other => ::core::result::Result::Err(::coordinator_sdk::__private::no_route(other)),
                }
            }
        }
    }

    /// The ELF section's lines and the one exported symbol.
    fn export(&self, plugin: &Type) -> TokenStream {
        let handler_rows = self.handlers.iter().map(Handler::row);
        let route_rows = self.routes.iter().map(Route::row).collect::<String>();
        quote! {
            const _: () = {
                const PARTS: &[&str] = &[
                    "{\"section\":1,\"name\":\"", ::core::env!("CARGO_PKG_NAME"),
                    "\",\"version\":\"", ::core::env!("CARGO_PKG_VERSION"),
                    "\",\"abi\":\"", ::coordinator_sdk::__private::ABI,
                    "\",\"sdk\":\"", ::coordinator_sdk::__private::SDK_VERSION,
                    "\",\"rustc\":\"", ::coordinator_sdk::__private::RUSTC,
                    "\",\"target\":\"", ::coordinator_sdk::__private::TARGET,
                    "\",\"panic\":\"", if ::core::cfg!(panic = "unwind") { "unwind" } else { "abort" },
                    "\"}\n",
                    <#plugin as ::coordinator_sdk::__private::Plugin>::SETTINGS_ROWS,
                    #(#handler_rows,)*
                    #route_rows,
                ];
                #[used]
                #[unsafe(link_section = ".coordinator")]
                static SECTION: [u8; ::coordinator_sdk::__private::section::len(PARTS)] =
                    ::coordinator_sdk::__private::section::concat(PARTS);
                ::coordinator_sdk::__private::export_plugin!(#plugin);
            };
        }
    }
}

/// The name of the `#[start]` function, and the type of the settings that it takes.
fn start(function: &ImplItemFn) -> Result<(Ident, Type)> {
    let name = function.sig.ident.clone();
    match function.sig.inputs.iter().collect::<Vec<_>>()[..] {
        [FnArg::Typed(settings), FnArg::Typed(_)] if function.sig.asyncness.is_some() => {
            Ok((name, (*settings.ty).clone()))
        }
        _ => {
            let text = "a start function is `async fn start(settings: S, ctx: &Context) -> Result<Self, StartError>`";
            Err(Error::new(name.span(), text))
        }
    }
}
