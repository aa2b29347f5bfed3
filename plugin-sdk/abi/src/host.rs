//! What a host lends to a plugin: one table of functions, and for each call an object that they act for.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use abi_stable::StableAbi;
use abi_stable::prefix_type::{PrefixTypeTrait, WithMetadata};
use abi_stable::std_types::{ROption, RSlice};

use crate::code::{outcome, tell};
use crate::log::{Log, LogTableRef};
use crate::opaque::Opaque;
use crate::{Code, Outcome, RawFuture, SharedBytes};

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
    /// Does what one of the [`ask`](crate::code::ask) codes names. Since 1.1: new services are new codes.
    pub ask: unsafe extern "C" fn(&Opaque, Code, SharedBytes, SharedBytes) -> RawFuture,
    /// Takes, or answers at once, what one of the [`tell`] codes names. Since 1.1.
    pub tell: unsafe extern "C" fn(&Opaque, Code, RSlice<'_, u8>) -> u64,
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

    /// Does what `what` names ([`ask`](crate::code::ask)).
    fn ask(self: Arc<Self>, what: Code, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        let _ = (meta, body);
        RawFuture::ready(unsupported(what))
    }

    /// Takes, or answers at once, what `what` names ([`tell`]). Never waits.
    fn tell(&self, what: Code, input: &[u8]) -> u64 {
        let _ = (what, input);
        tell::UNKNOWN
    }
}

/// The functions of [`HostTable`] for one kind of lent object.
struct Functions<H>(PhantomData<H>);

impl<H: Lend> Functions<H> {
    const SILENT: &'static WithMetadata<HostTable> =
        &WithMetadata::new(Self::table(ROption::RNone));

    const fn table(log: ROption<LogTableRef>) -> HostTable {
        HostTable {
            publish: Self::publish,
            http: Self::http,
            sleep: Self::sleep,
            now: Self::now,
            log,
            ask: Self::ask,
            tell: Self::tell,
        }
    }

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

    unsafe extern "C" fn ask(
        lent: &Opaque,
        what: Code,
        meta: SharedBytes,
        body: SharedBytes,
    ) -> RawFuture {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        Self::guarded(|| object.ask(what, meta, body))
    }

    unsafe extern "C" fn tell(lent: &Opaque, what: Code, input: RSlice<'_, u8>) -> u64 {
        // SAFETY: the table's own condition.
        let object = unsafe { Self::object(lent) };
        crate::panic::catch(|| object.tell(what, input.as_slice())).unwrap_or(tell::UNKNOWN)
    }
}

/// The table for lent objects of `H`. One is made for each plugin instance and lives as long as the process,
/// as do the plugins.
pub(crate) fn table<H: Lend>() -> HostTableRef {
    match H::LOG {
        None => HostTableRef(Functions::<H>::SILENT.static_as_prefix()),
        Some(log) => Functions::<H>::table(ROption::RSome(log())).leak_into_prefix(),
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

    /// Asks for what one of the [`ask`](crate::code::ask) codes names. A host of ABI 1.0 has no such function: the
    /// answer is `UNSUPPORTED` and says so.
    pub fn ask(&self, what: Code, meta: SharedBytes, body: SharedBytes) -> RawFuture {
        match self.table.ask() {
            // SAFETY: `self` was made of an object that was lent together with this table.
            Some(ask) => unsafe { ask(&self.object, what, meta, body) },
            None => RawFuture::ready(older()),
        }
    }

    /// Tells what one of the [`tell`] codes names. A host of ABI 1.0 knows nothing of it.
    #[must_use]
    pub fn tell(&self, what: Code, input: &[u8]) -> u64 {
        match self.table.tell() {
            // SAFETY: `self` was made of an object that was lent together with this table.
            Some(tell) => unsafe { tell(&self.object, what, RSlice::from_slice(input)) },
            None => tell::UNKNOWN,
        }
    }
}

/// What a host answers to a service that it does not know: the plugin is newer.
#[must_use]
pub fn unsupported(what: Code) -> Outcome {
    let text = format!("this host does not know service {}", what.0);
    refused(text, "upgrade the host")
}

fn older() -> Outcome {
    let text = "the host is older than this plugin: it speaks plugin ABI 1.0, and this needs 1.1";
    refused(text.to_owned(), "upgrade the host")
}

fn refused(text: String, hint: &str) -> Outcome {
    let failure = crate::call::FailureMeta::new(format!("{text} ({hint})"));
    Outcome::with_meta(outcome::UNSUPPORTED, failure.encode())
}
