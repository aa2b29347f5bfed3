//! What the methods of a plugin take, and where a wrong answer is shown.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, ImplItemFn, Result, ReturnType, Type};

/// Holds a method against `&self, ctx: &Context` and at most one more. `takes` says it for the author.
///
/// Answers the type of what it takes more.
pub(crate) fn read(function: &ImplItemFn, kind: &str, takes: &str) -> Result<Option<Type>> {
    let name = &function.sig.ident;
    if function.sig.asyncness.is_none() {
        let text = format!("a {kind} is an `async fn`");
        return Err(Error::new(name.span(), text));
    }
    let mut inputs = function.sig.inputs.iter();
    let wrong = |span: Span| Error::new(span, format!("a {kind} takes {takes}"));
    for fits in [is_self, is_context] {
        let input = inputs.next().ok_or_else(|| wrong(name.span()))?;
        if !fits(input) {
            return Err(wrong(input.span()));
        }
    }
    let more = inputs.next();
    match (more, inputs.next()) {
        (_, Some(surplus)) => Err(wrong(surplus.span())),
        (Some(FnArg::Typed(more)), None) => Ok(Some((*more.ty).clone())),
        _ => Ok(None),
    }
}

/// The place of a method's return type; `returns` says for the author what that is. What the macro writes there is still
/// the macro's, so that lints of the author's crate do not hold for it.
pub(crate) fn answer(function: &ImplItemFn, kind: &str, returns: &str) -> Result<Span> {
    match &function.sig.output {
        ReturnType::Type(_, ty) => Ok(Span::call_site().located_at(ty.span())),
        ReturnType::Default => {
            let text = format!("a {kind} returns {returns}");
            Err(Error::new(function.sig.ident.span(), text))
        }
    }
}

fn is_self(input: &FnArg) -> bool {
    matches!(input, FnArg::Receiver(this) if this.reference.is_some() && this.mutability.is_none())
}

fn is_context(input: &FnArg) -> bool {
    let FnArg::Typed(input) = input else {
        return false;
    };
    let Type::Reference(reference) = &*input.ty else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|segment| segment.ident == "Context")
}
