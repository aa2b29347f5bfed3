//! What a plugin offers to its host: one table of functions, and instances that they act for.

use std::marker::PhantomData;
use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::package_version_strings;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::sabi_types::VersionStrings;

use crate::code::outcome;
use crate::host::{self, Host, HostTableRef, Lend, Lent};
use crate::opaque::Opaque;
use crate::{Code, Outcome, RawFuture, SharedBytes};

/// The plugin's functions. Append-only. New operations are new [`op`](crate::code::op) codes, which an older
/// plugin answers with `UNSUPPORTED`.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginTableRef)))]
#[sabi(missing_field(option))]
pub struct PluginTable {
    /// The manifest as JSON ([`Manifest`](crate::Manifest)). Pure: touches nothing.
    pub describe: extern "C" fn() -> Outcome,
    /// Makes an instance that is not started yet.
    pub open: extern "C" fn(HostTableRef) -> Opaque,
    /// Does `op` on item `index` (of the manifest's handlers or routes) for a lent
    /// object. The instance must be one that `open` of this table returned, and the object one that belongs to the
    /// host table it was opened with; [`Instance`] keeps them together.
    pub call:
        unsafe extern "C" fn(&Opaque, Code, u32, Opaque, SharedBytes, SharedBytes) -> RawFuture,
    /// The host's log filter changed: ask again which events are wanted.
    #[sabi(last_prefix_field)]
    pub refresh_logs: extern "C" fn(),
}

impl RootModule for PluginTableRef {
    abi_stable::declare_root_module_statics! {PluginTableRef}
    const BASE_NAME: &'static str = "coordinator_plugin";
    const NAME: &'static str = "coordinator_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// One call of a plugin.
pub struct Call {
    /// See [`crate::code::op`].
    pub op: Code,
    /// Which handler or route of the manifest.
    pub index: u32,
    /// What the host lends for this call.
    pub lent: Lent,
    /// Structured part.
    pub meta: SharedBytes,
    /// Payload.
    pub body: SharedBytes,
}

/// What a plugin implements (through the SDK).
pub trait Serve: Send + Sync + 'static {
    /// The manifest as JSON. Pure.
    fn describe() -> String;

    /// A new instance, not started.
    fn open(host: Host) -> Self;

    /// Does what is asked. The future keeps `this`, and so the instance, alive.
    fn call(this: Opened<Self>, call: Call) -> RawFuture
    where
        Self: Sized;

    /// Asks again which log events are wanted.
    fn refresh_logs();
}

struct Functions<P>(PhantomData<P>);

impl<P: Serve> Functions<P> {
    const TABLE: &'static WithMetadata<PluginTable> = &WithMetadata::new(PluginTable {
        describe: Self::describe,
        open: Self::open,
        call: Self::call,
        refresh_logs: Self::refresh_logs,
    });

    extern "C" fn describe() -> Outcome {
        match crate::panic::catch(P::describe) {
            Ok(manifest) => Outcome {
                body: manifest.into(),
                ..Outcome::ok()
            },
            Err(panic) => Outcome::panicked(panic),
        }
    }

    extern "C" fn open(table: HostTableRef) -> Opaque {
        let host = Host::new(table);
        // A panic here leaves an instance that answers every call with it.
        let plugin = crate::panic::catch(|| P::open(host));
        Opaque::new(Arc::new(Slot { host, plugin }))
    }

    unsafe extern "C" fn call(
        instance: &Opaque,
        op: Code,
        index: u32,
        lent: Opaque,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> RawFuture {
        // SAFETY: the table's own condition: `open` of this table returned it.
        let slot = unsafe { instance.object::<Slot<P>>() };
        if let Err(panic) = &slot.plugin {
            return RawFuture::ready(Outcome::panicked(panic.clone()));
        }
        let lent = Lent::new(slot.host, lent);
        let call = Call {
            op,
            index,
            lent,
            meta,
            body,
        };
        crate::panic::catch(|| P::call(Opened(slot), call))
            .unwrap_or_else(|panic| RawFuture::ready(Outcome::panicked(panic)))
    }

    extern "C" fn refresh_logs() {
        let _ = crate::panic::catch(P::refresh_logs);
    }
}

/// What `open` left behind.
struct Slot<P> {
    host: Host,
    plugin: Result<P, String>,
}

/// An instance, on the plugin's side. Counted once for each call: no second count inside.
pub struct Opened<P>(Arc<Slot<P>>);

impl<P> std::ops::Deref for Opened<P> {
    type Target = P;

    fn deref(&self) -> &P {
        match &self.0.plugin {
            Ok(plugin) => plugin,
            Err(_) => unreachable!("an instance that failed to open answers before it gets here"),
        }
    }
}

/// The table of plugin `P`.
#[must_use]
pub fn table<P: Serve>() -> PluginTableRef {
    PluginTableRef(Functions::<P>::TABLE.static_as_prefix())
}

/// The manifest, as the plugin describes itself.
///
/// # Errors
///
/// What it answered instead.
pub fn describe(table: PluginTableRef) -> Result<SharedBytes, Outcome> {
    let answer = (table.describe())();
    if answer.is_ok() {
        Ok(answer.body)
    } else {
        Err(answer)
    }
}

/// The host's view of one plugin instance, to which objects of `H` are lent.
pub struct Instance<H> {
    table: PluginTableRef,
    object: Opaque,
    lends: PhantomData<fn(H)>,
}

impl<H: Lend> Instance<H> {
    /// A new instance, not started: the first call is [`op::START`](crate::code::op::START).
    #[must_use]
    pub fn open(table: PluginTableRef) -> Self {
        let object = (table.open())(host::table::<H>());
        Self {
            table,
            object,
            lends: PhantomData,
        }
    }

    /// Asks the plugin to do `op`.
    pub fn call(
        &self,
        op: Code,
        index: u32,
        lent: Arc<H>,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> RawFuture {
        let lent = Opaque::new(lent);
        // SAFETY: `open` of this table made the instance, for the host table of `H`, and `lent` is an `H`.
        unsafe { (self.table.call())(&self.object, op, index, lent, meta, body) }
    }

    /// Tells the plugin that the log filter changed.
    pub fn refresh_logs(&self) {
        (self.table.refresh_logs())();
    }
}

/// What a plugin answers to an operation that it does not know.
#[must_use]
pub fn unsupported(op: Code) -> Outcome {
    let failure =
        crate::call::FailureMeta::new(format!("the plugin does not know operation {}", op.0));
    Outcome::with_meta(outcome::UNSUPPORTED, failure.encode())
}
