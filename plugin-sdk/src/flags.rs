//! Switches that operators turn while the plugin runs.

use coordinator_abi::code::tell;
use coordinator_abi::{Lent, manifest};

/// A switch that a plugin declares with [`#[flags]`](macro@crate::flags) and reads with
/// [`Context::flag`](crate::Context::flag). An operator turns it while the plugin runs (`coordinator flag set
/// shop.new_checkout on`), and each read sees what holds now.
///
/// ```
/// use coordinator_sdk::prelude::*;
/// use coordinator_sdk::testing::{Call, Host};
///
/// # /// Settings.
/// # #[settings] pub struct Shop {}
/// /// Switches of the shop.
/// #[flags]
/// pub struct Switches {
///     /// Sends buyers to the new checkout.
///     new_checkout: bool,
///     /// Takes orders at all.
///     #[flag(default = true)]
///     open: bool,
/// }
///
/// # #[plugin] impl Shop {
/// /// Where a buyer goes on.
/// #[route(get, "/checkout", auth = public)]
/// async fn checkout(&self, ctx: &Context) -> Result<Response, RouteError> {
///     if !ctx.flag(Switches::OPEN) {
///         return Err(RouteError::new(503, "closed", "the shop is closed"));
///     }
///     let way = if ctx.flag(Switches::NEW_CHECKOUT) { "new" } else { "old" };
///     Ok(Response::text(200, way))
/// }
/// # }
/// let host = Host::<Shop>::new(serde_json::json!({}));
/// assert_eq!(host.call(Call::get("/checkout")).body, b"old");
/// host.flag(Switches::NEW_CHECKOUT, true);
/// assert_eq!(host.call(Call::get("/checkout")).body, b"new");
/// assert_eq!((Switches::OPEN.name(), Switches::OPEN.default()), ("open", true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    name: &'static str,
    default: bool,
}

impl Flag {
    /// Written by `#[flags]`.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, default: bool) -> Self {
        Self { name, default }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Is it on unless an operator says otherwise?
    #[must_use]
    pub const fn default(&self) -> bool {
        self.default
    }

    /// A host that does not know it leaves it as its author made it.
    pub(crate) fn is_on(self, lent: &Lent) -> bool {
        match lent.tell(tell::FLAG, self.name.as_bytes()) {
            0 => false,
            1 => true,
            _ => self.default,
        }
    }
}

/// One entry for each `#[flags]` struct that is linked into the plugin.
#[doc(hidden)]
pub struct KnownFlags {
    /// For the manifest.
    pub describe: fn() -> Vec<manifest::Flag>,
    /// Their lines in the ELF section. Named here so that the linker keeps them.
    pub rows: &'static [u8],
}

inventory::collect!(KnownFlags);
