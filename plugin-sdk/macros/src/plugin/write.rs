//! What `#[plugin]` writes: the implementation of `Plugin`, the lines of the ELF section and the exported symbol.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;

use super::Surface;
use crate::check::Check;
use crate::command::Command;
use crate::handler::Handler;
use crate::route::Route;
use crate::schedule::Schedule;
use crate::step::Step;

impl Surface {
    pub(super) fn implementation(&self, plugin: &Type, settings: &Type) -> TokenStream {
        let (lists, calls, hooks) = (self.lists(), self.calls(), self.hooks());
        let start = match &self.start {
            Some((function, _)) => quote!(Self::#function(settings, ctx).await),
            None => quote!(::core::result::Result::Ok(settings)),
        };
        let runtime = format_ident!(
            "{}",
            if self.tokio.is_some() {
                "TokioRuntime"
            } else {
                "NoRuntime"
            }
        );
        // Under the author's token: without the feature there is no such runtime, and the SDK says so there.
        let needs = self.tokio.map(|place| {
            let place = Span::call_site().located_at(place);
            quote_spanned!(place=> ::coordinator_sdk::__private::needs_tokio!();)
        });
        quote! {
            #needs
            impl ::coordinator_sdk::__private::Plugin for #plugin {
                type Settings = #settings;
                type Runtime = ::coordinator_sdk::__private::#runtime;
                const IDENTITY: ::coordinator_sdk::__private::Identity = ::coordinator_sdk::__private::Identity {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    sdk: ::coordinator_sdk::__private::SDK_VERSION,
                    unwinds: ::core::cfg!(panic = "unwind"),
                };
                const DOC: &'static str = ::core::env!("CARGO_PKG_DESCRIPTION");

                #[allow(unused_variables, reason = "a plugin need not use everything that is lent")]
                async fn start(
                    settings: Self::Settings,
                    ctx: &::coordinator_sdk::Context,
                ) -> ::core::result::Result<Self, ::coordinator_sdk::StartError> {
                    #start
                }

                #lists
                #hooks
                #calls
            }
        }
    }

    /// What the manifest lists.
    fn lists(&self) -> TokenStream {
        let lists = [
            (
                "handlers",
                "Handler",
                describe(&self.handlers, Handler::describe),
            ),
            ("routes", "Route", describe(&self.routes, Route::describe)),
            ("steps", "Step", describe(&self.steps, Step::describe)),
            (
                "schedules",
                "Schedule",
                describe(&self.schedules, Schedule::describe),
            ),
            (
                "commands",
                "Command",
                describe(&self.commands, Command::describe),
            ),
            ("checks", "Check", describe(&self.checks, Check::describe)),
        ];
        let lists = lists.into_iter().filter(|(_, _, list)| !list.is_empty());
        lists
            .map(|(name, ty, list)| {
                let (name, ty) = (format_ident!("{name}"), format_ident!("{ty}"));
                quote! {
                    fn #name() -> ::std::vec::Vec<::coordinator_sdk::__private::manifest::#ty> {
                        ::std::vec![#(#list),*]
                    }
                }
            })
            .collect()
    }

    /// What is done once for the whole plugin.
    fn hooks(&self) -> TokenStream {
        let (health, stop) = (self.health.is_some(), self.stop.is_some());
        let on_health = self.health.as_ref().map(|function| {
            quote! {
                async fn health(
                    &self,
                    ctx: &::coordinator_sdk::Context,
                ) -> ::core::result::Result<(), ::coordinator_sdk::HealthError> {
                    self.#function(ctx).await
                }
            }
        });
        let on_stop = self.stop.as_ref().map(|function| {
            quote! {
                async fn stop(&self, ctx: &::coordinator_sdk::Context) {
                    self.#function(ctx).await
                }
            }
        });
        quote! {
            const HOOKS: ::coordinator_sdk::__private::manifest::Hooks =
                ::coordinator_sdk::__private::manifest::Hooks { health: #health, stop: #stop };
            #on_health
            #on_stop
        }
    }

    /// What runs each item of the lists, by its index.
    fn calls(&self) -> TokenStream {
        let result = quote!(::core::result::Result);
        let sdk = quote!(::coordinator_sdk);
        let private = quote!(::coordinator_sdk::__private);
        let calls = [
            call(
                "handle",
                &quote!(payload: &[u8]),
                &quote!(#result<(), #sdk::HandlerError>),
                &quote!(#result::Err(#private::no_handler(index))),
                arms(&self.handlers, Handler::arm),
            ),
            call(
                "route",
                &quote!(request: #sdk::Request),
                &quote!(#result<#sdk::Response, #sdk::RouteError>),
                &quote!(#result::Err(#private::no_route(index))),
                arms(&self.routes, Route::arm),
            ),
            call(
                "step",
                &quote!(value: &[u8]),
                &quote!(#result<#private::Stepped, #sdk::StepError>),
                &quote!(#result::Err(#private::no_step(index))),
                arms(&self.steps, Step::arm),
            ),
            call(
                "schedule",
                &quote!(),
                &quote!(#result<(), #sdk::HandlerError>),
                &quote!(#result::Err(#private::no_schedule(index))),
                arms(&self.schedules, Schedule::arm),
            ),
            call(
                "command",
                &quote!(arguments: &[u8]),
                &quote!(#result<#sdk::Output, #private::CommandFailed>),
                &quote!(#result::Err(#private::no_command(index))),
                arms(&self.commands, Command::arm),
            ),
            call(
                "check",
                &quote!(),
                &quote!(::std::vec::Vec<#sdk::Finding>),
                &quote!(#private::no_check(index)),
                arms(&self.checks, Check::arm),
            ),
        ];
        calls.into_iter().flatten().collect()
    }

    /// The ELF section's lines and the one exported symbol.
    pub(super) fn export(&self, plugin: &Type) -> TokenStream {
        let handler_rows = self.handlers.iter().map(Handler::row);
        let rows = [
            self.routes.iter().map(Route::row).collect::<String>(),
            self.steps.iter().map(Step::row).collect(),
            self.schedules.iter().map(Schedule::row).collect(),
            self.commands.iter().map(Command::row).collect(),
            self.checks.iter().map(Check::row).collect(),
        ]
        .concat();
        quote! {
            // Two of this name are an error that says what is wrong; two exported symbols are one of the linker's.
            const _A_CRATE_HAS_ONE_PLUGIN: () = ();

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
                    #rows,
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

fn describe<T>(items: &[T], one: impl Fn(&T) -> TokenStream) -> Vec<TokenStream> {
    items.iter().map(one).collect()
}

fn arms<T>(items: &[T], arm: impl Fn(&T, u32) -> TokenStream) -> Vec<TokenStream> {
    (0_u32..)
        .zip(items)
        .map(|(index, item)| arm(item, index))
        .collect()
}

/// A function that runs one item by its index; none if there are no items, for the trait then answers.
fn call(
    name: &str,
    takes: &TokenStream,
    answers: &TokenStream,
    unknown: &TokenStream,
    arms: Vec<TokenStream>,
) -> Option<TokenStream> {
    if arms.is_empty() {
        return None;
    }
    let name = format_ident!("{name}");
    Some(quote! {
        #[allow(unused_variables, reason = "not every one takes all that it is given")]
        async fn #name(&self, index: u32, ctx: &::coordinator_sdk::Context, #takes) -> #answers {
            match index {
                #(#arms,)*
                _ => #unknown,
            }
        }
    })
}
