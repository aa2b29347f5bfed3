//! What a host lends to a plugin: one table of functions, and for each call an object that they act for.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::prefix_type::{PrefixTypeTrait, WithMetadata};
use abi_stable::std_types::ROption;

use crate::code::outcome;
use crate::log::{Log, LogTableRef};
use crate::opaque::Opaque;
use crate::{Outcome, RawFuture, SharedBytes};

/// The host's functions. Append-only: a plugin may be older than its host, and newer.
///
/// Their object must be one that was lent together with this table; [`Lent`] keeps the two together.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTableRef)))]
#[sabi(missing_field(option))]
pub struct HostTable {
    /// Publishes messages ([`PublishMeta`](crate::call::PublishMeta)).
    pub publish: unsafe extern "C" fn(&Opaque, SharedBytes, SharedBytes) -> RawFuture,
    /// Makes an outbound HTTP call ([`HttpMeta`](crate::call::HttpMeta)).
    pub http: unsafe extern "C" fn(&Opaque, SharedBytes, SharedBytes) -> RawFuture,
    /// Ends after so many milliseconds of the host's clock.
    pub sleep: unsafe extern "C" fn(&Opaque, u64) -> RawFuture,
    /// Milliseconds since the epoch, by the host's clock.
    pub now: unsafe extern "C" fn(&Opaque) -> i64,
    /// Where logs go; absent where the plugin shares the host's subscriber (its own tests).
    #[sabi(last_prefix_field)]
    pub log: ROption<LogTableRef>,
}

/// What a host implements: the object behind one call.
pub trait Lend: Send + Sync + 'static {
    /// Where plugin logs go. `None`: the plugin installs no subscriber and no panic hook.
    const LOG: Option<fn() -> LogTableRef>;

    /// Publishes messages ([`PublishMeta`](crate::call::PublishMeta), payloads as fields).
    fn publish(self: Arc<Self>, meta: SharedBytes, payloads: SharedBytes) -> RawFuture;

    /// Makes an outbound HTTP call ([`HttpMeta`](crate::call::HttpMeta)).
    fn http(self: Arc<Self>, meta: SharedBytes, body: SharedBytes) -> RawFuture;

    /// Ends after `time`.
    fn sleep(self: Arc<Self>, time: Duration) -> RawFuture;

    /// Milliseconds since the epoch.
    fn now(&self) -> i64;
}

/// The functions of [`HostTable`] for one kind of lent object.
struct Functions<H>(PhantomData<H>);

impl<H: Lend> Functions<H> {
    const TABLE: &'static WithMetadata<HostTable> = &WithMetadata::new(HostTable {
        publish: Self::publish,
        http: Self::http,
        sleep: Self::sleep,
        now: Self::now,
        log: ROption::RNone,
    });

    /// # Safety
    ///
    /// `lent` is an object of `H`: what every function of the table asks of its caller.
    unsafe fn object(lent: &Opaque) -> Arc<H> {
        // SAFETY: the caller's promise.
        unsafe { lent.object::<H>() }
    }

    fn guarded(call: impl FnOnce() -> RawFuture) -> RawFuture {
        crate::panic::catch(call).unwrap_or_else(|panic| RawFuture::ready(Outcome::panicked(panic)))
    }

    unsafe extern "C" fn publish(lent: &Opaque, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        Self::guarded(|| object.publish(meta, body))
    }

    unsafe extern "C" fn http(lent: &Opaque, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        Self::guarded(|| object.http(meta, body))
    }

    unsafe extern "C" fn sleep(lent: &Opaque, millis: u64) -> RawFuture {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        Self::guarded(|| object.sleep(Duration::from_millis(millis)))
    }

    unsafe extern "C" fn now(lent: &Opaque) -> i64 {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        crate::panic::catch(|| object.now()).unwrap_or_default()
    }
}

/// The table for lent objects of `H`. One is made for each plugin instance and lives as long as the process,
/// as do the plugins.
pub(crate) fn table<H: Lend>() -> HostTableRef {
    match H::LOG {
        None => HostTableRef(Functions::<H>::TABLE.static_as_prefix()),
        Some(log) => {
            let table = HostTable {
                publish: Functions::<H>::publish,
                http: Functions::<H>::http,
                sleep: Functions::<H>::sleep,
                now: Functions::<H>::now,
                log: ROption::RSome(log()),
            };
            table.leak_into_prefix()
        }
    }
}

/// The plugin's view of a host: what is lent whichever call it is.
#[derive(Clone, Copy)]
pub struct Host(HostTableRef);

impl Host {
    pub(crate) fn new(table: HostTableRef) -> Self {
        Self(table)
    }

    /// Where logs go.
    #[must_use]
    pub fn log(&self) -> Option<Log> {
        self.0.log().into_option().map(Log::new)
    }
}

/// The plugin's view of one call: the host's functions, acting for that call.
#[derive(Clone)]
pub struct Lent {
    table: HostTableRef,
    object: Opaque,
}

impl Lent {
    pub(crate) fn new(host: Host, object: Opaque) -> Self {
        Self {
            table: host.0,
            object,
        }
    }

    /// Publishes messages.
    pub fn publish(&self, meta: SharedBytes, payloads: SharedBytes) -> RawFuture {
        // SAFETY: `self` was made of an object that was lent together with this table.
        unsafe { (self.table.publish())(&self.object, meta, payloads) }
    }

    /// Makes an outbound HTTP call.
    pub fn http(&self, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        // SAFETY: `self` was made of an object that was lent together with this table.
        unsafe { (self.table.http())(&self.object, meta, body) }
    }

    /// Ends after `time`.
    pub fn sleep(&self, time: Duration) -> RawFuture {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: `self` was made of an object that was lent together with this table.
        unsafe { (self.table.sleep())(&self.object, millis) }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        // SAFETY: `self` was made of an object that was lent together with this table.
        unsafe { (self.table.now())(&self.object) }
    }
}

/// What a host function answers when it cannot be called.
#[must_use]
pub fn unsupported(what: &str) -> Outcome {
    let failure = crate::call::FailureMeta::new(format!("this host does not lend `{what}`"));
    Outcome::with_meta(outcome::UNSUPPORTED, failure.encode())
}
