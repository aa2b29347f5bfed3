//! An attribute of a plugin's method where no plugin is: the compiler would only say that it does not know it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Error;

pub(crate) fn expand(name: &str, item: TokenStream) -> TokenStream {
    let text = format!(
        "`#[{name}]` goes on a method of the plugin: write `#[plugin]` on the impl block around it"
    );
    let error = Error::new(Span::call_site(), text).into_compile_error();
    quote!(#item #error)
}
