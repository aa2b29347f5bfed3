//! Logs across the boundary. The plugin's `tracing` is its own copy: its subscriber forwards here.

use std::sync::atomic::AtomicU32;

use abi_stable::StableAbi;
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};

use crate::Code;

/// Levels, most severe first; zero is "off". An unknown one is treated as the most verbose.
pub mod level {
    use super::Code;

    /// A person should act.
    pub const ERROR: Code = Code(1);
    /// Recovered from.
    pub const WARN: Code = Code(2);
    /// Life cycle and outcomes.
    pub const INFO: Code = Code(3);
    /// Steps.
    pub const DEBUG: Code = Code(4);
    /// Everything.
    pub const TRACE: Code = Code(5);
}

/// How much a callsite is wanted. An unknown one is treated as "ask each time".
pub mod interest {
    use super::Code;

    /// Never.
    pub const NEVER: Code = Code(0);
    /// Ask each time.
    pub const SOMETIMES: Code = Code(1);
    /// Always.
    pub const ALWAYS: Code = Code(2);
}

/// One place in the plugin's source that logs.
#[repr(C)]
#[derive(StableAbi)]
pub struct Callsite<'a> {
    /// Name of the event or span.
    pub name: RStr<'a>,
    /// Target, by default the module.
    pub target: RStr<'a>,
    /// Source file.
    pub file: RStr<'a>,
    /// Line in it.
    pub line: u32,
    /// See [`level`].
    pub level: Code,
    /// Span or event?
    pub is_span: bool,
    /// Names of its fields.
    pub fields: RSlice<'a, RStr<'a>>,
}

/// One value of a callsite's fields.
#[repr(C)]
#[derive(StableAbi)]
pub struct Field<'a> {
    /// Index in the callsite's fields.
    pub index: u32,
    /// See [`kind`]; an unknown one is text.
    pub kind: Code,
    /// The value, if a number or a boolean: its bits.
    pub bits: u64,
    /// The value, if text.
    pub text: RStr<'a>,
}

/// Kinds of field values.
pub mod kind {
    use super::Code;

    /// Text.
    pub const TEXT: Code = Code(0);
    /// `u64`.
    pub const U64: Code = Code(1);
    /// `i64`, bits.
    pub const I64: Code = Code(2);
    /// `f64`, bits.
    pub const F64: Code = Code(3);
    /// Boolean, 0 or 1.
    pub const BOOL: Code = Code(4);
}

/// The host's answer to a registration.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Registered {
    /// Names the callsite from now on.
    pub id: u64,
    /// See [`interest`].
    pub interest: Code,
}

/// The host's log functions.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = LogTableRef)))]
#[sabi(missing_field(option))]
pub struct LogTable {
    /// Most verbose level wanted now; read by the plugin with one relaxed load.
    pub max_level: &'static AtomicU32,
    /// Introduces a callsite.
    pub register: extern "C" fn(&Callsite<'_>) -> Registered,
    /// Is it wanted now?
    pub enabled: extern "C" fn(u64) -> bool,
    /// An event happened.
    pub event: extern "C" fn(u64, RSlice<'_, Field<'_>>),
    /// A span begins; answers its id, never zero.
    pub new_span: extern "C" fn(u64, RSlice<'_, Field<'_>>) -> u64,
    /// A span learns more values.
    pub record: extern "C" fn(u64, u64, RSlice<'_, Field<'_>>),
    /// A span is entered on this thread.
    pub enter: extern "C" fn(u64),
    /// A span is left on this thread.
    pub exit: extern "C" fn(u64),
    /// A span gets another holder; answers its id.
    pub clone_span: extern "C" fn(u64) -> u64,
    /// A holder lets a span go; answers whether it was the last.
    #[sabi(last_prefix_field)]
    pub close: extern "C" fn(u64) -> bool,
}

/// What a host implements to receive logs. Panics inside are swallowed: logging must not fail a call.
pub trait Receive: 'static {
    /// Most verbose level wanted now.
    const MAX_LEVEL: &'static AtomicU32;

    /// Introduces a callsite.
    fn register(callsite: &Callsite<'_>) -> Registered;
    /// Is it wanted now?
    fn enabled(id: u64) -> bool;
    /// An event happened.
    fn event(id: u64, fields: &[Field<'_>]);
    /// A span begins; answers its id, never zero.
    fn new_span(id: u64, fields: &[Field<'_>]) -> u64;
    /// Span `span` of callsite `id` learns more values.
    fn record(span: u64, id: u64, fields: &[Field<'_>]);
    /// A span is entered on this thread.
    fn enter(span: u64);
    /// A span is left on this thread.
    fn exit(span: u64);
    /// A span gets another holder; answers its id.
    fn clone_span(span: u64) -> u64;
    /// A holder lets a span go; answers whether it was the last.
    fn close(span: u64) -> bool;
}

struct Functions<R>(std::marker::PhantomData<R>);

impl<R: Receive> Functions<R> {
    const TABLE: &'static WithMetadata<LogTable> = &WithMetadata::new(LogTable {
        max_level: R::MAX_LEVEL,
        register: Self::register,
        enabled: Self::enabled,
        event: Self::event,
        new_span: Self::new_span,
        record: Self::record,
        enter: Self::enter,
        exit: Self::exit,
        clone_span: Self::clone_span,
        close: Self::close,
    });

    extern "C" fn register(callsite: &Callsite<'_>) -> Registered {
        let never = Registered {
            id: u64::MAX,
            interest: interest::NEVER,
        };
        crate::panic::catch(|| R::register(callsite)).unwrap_or(never)
    }

    extern "C" fn enabled(id: u64) -> bool {
        crate::panic::catch(|| R::enabled(id)).unwrap_or(false)
    }

    extern "C" fn event(id: u64, fields: RSlice<'_, Field<'_>>) {
        let _ = crate::panic::catch(|| R::event(id, fields.as_slice()));
    }

    extern "C" fn new_span(id: u64, fields: RSlice<'_, Field<'_>>) -> u64 {
        crate::panic::catch(|| R::new_span(id, fields.as_slice())).unwrap_or(1)
    }

    extern "C" fn record(span: u64, id: u64, fields: RSlice<'_, Field<'_>>) {
        let _ = crate::panic::catch(|| R::record(span, id, fields.as_slice()));
    }

    extern "C" fn enter(span: u64) {
        let _ = crate::panic::catch(|| R::enter(span));
    }

    extern "C" fn exit(span: u64) {
        let _ = crate::panic::catch(|| R::exit(span));
    }

    extern "C" fn clone_span(span: u64) -> u64 {
        crate::panic::catch(|| R::clone_span(span)).unwrap_or(span)
    }

    extern "C" fn close(span: u64) -> bool {
        crate::panic::catch(|| R::close(span)).unwrap_or(true)
    }
}

/// The table of receiver `R`.
#[must_use]
pub fn table<R: Receive>() -> LogTableRef {
    LogTableRef(Functions::<R>::TABLE.static_as_prefix())
}

/// The plugin's view of the host's log.
#[derive(Clone, Copy)]
pub struct Log(LogTableRef);

impl Log {
    pub(crate) fn new(table: LogTableRef) -> Self {
        Self(table)
    }

    /// Most verbose level wanted now.
    #[must_use]
    pub fn max_level(&self) -> Code {
        Code(
            self.0
                .max_level()
                .load(std::sync::atomic::Ordering::Relaxed),
        )
    }

    /// Introduces a callsite.
    #[must_use]
    pub fn register(&self, callsite: &Callsite<'_>) -> Registered {
        (self.0.register())(callsite)
    }

    /// Is it wanted now?
    #[must_use]
    pub fn enabled(&self, id: u64) -> bool {
        (self.0.enabled())(id)
    }

    /// An event happened.
    pub fn event(&self, id: u64, fields: &[Field<'_>]) {
        (self.0.event())(id, RSlice::from_slice(fields));
    }

    /// A span begins.
    #[must_use]
    pub fn new_span(&self, id: u64, fields: &[Field<'_>]) -> u64 {
        (self.0.new_span())(id, RSlice::from_slice(fields))
    }

    /// A span learns more values.
    pub fn record(&self, span: u64, id: u64, fields: &[Field<'_>]) {
        (self.0.record())(span, id, RSlice::from_slice(fields));
    }

    /// A span is entered on this thread.
    pub fn enter(&self, span: u64) {
        (self.0.enter())(span);
    }

    /// A span is left on this thread.
    pub fn exit(&self, span: u64) {
        (self.0.exit())(span);
    }

    /// A span gets another holder.
    #[must_use]
    pub fn clone_span(&self, span: u64) -> u64 {
        (self.0.clone_span())(span)
    }

    /// A holder lets a span go; was it the last?
    #[must_use]
    pub fn close(&self, span: u64) -> bool {
        (self.0.close())(span)
    }
}
