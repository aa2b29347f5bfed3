//! The host's half of the log bridge: each callsite of a plugin becomes a real callsite here, so that filters,
//! targets, source lines, fields and the host's current span work for plugins as for the host.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use coordinator_abi::Code;
use coordinator_abi::log::{
    self as abi, Field, LogTableRef, Receive, Registered, interest, kind, level,
};
use tracing::field::Value;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, dispatcher, span};
use tracing_core::callsite::Callsite;
use tracing_core::field::{FieldSet, ValueSet};
use tracing_core::identify_callsite;
use tracing_core::metadata::Kind;
use tracing_core::subscriber::Interest;

static MAX_LEVEL: AtomicU32 = AtomicU32::new(level::INFO.0);
static SITES: RwLock<Vec<&'static Site>> = RwLock::new(Vec::new());

/// More callsites than any honest set of plugins has: what comes after them is not logged.
const MAX_SITES: usize = 100_000;

/// Tells plugins the level that the host's filter wants now. Call it after the subscriber is installed.
pub fn refresh() {
    let code = match LevelFilter::current().into_level() {
        None => Code(0),
        Some(Level::ERROR) => level::ERROR,
        Some(Level::WARN) => level::WARN,
        Some(Level::INFO) => level::INFO,
        Some(Level::DEBUG) => level::DEBUG,
        Some(Level::TRACE) => level::TRACE,
    };
    MAX_LEVEL.store(code.0, Ordering::Relaxed);
}

/// The table that every plugin gets.
pub(crate) fn table() -> LogTableRef {
    abi::table::<Bridge>()
}

struct Bridge;

/// One callsite of a plugin. Lives as long as the process, as do plugins.
struct Site {
    metadata: OnceLock<Metadata<'static>>,
}

impl Callsite for Site {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata
            .get()
            .expect("a site is registered after its metadata is set")
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn metadata(id: u64) -> Option<&'static Metadata<'static>> {
    let sites = SITES.read().unwrap_or_else(PoisonError::into_inner);
    sites.get(usize::try_from(id).ok()?)?.metadata.get()
}

fn host_level(code: Code) -> Level {
    match code {
        level::ERROR => Level::ERROR,
        level::WARN => Level::WARN,
        level::INFO => Level::INFO,
        level::DEBUG => Level::DEBUG,
        _ => Level::TRACE,
    }
}

/// One value with the type that it had in the plugin.
enum Typed<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Boolean(bool),
}

impl<'a> Typed<'a> {
    fn of(field: &'a Field<'_>) -> Self {
        match field.kind {
            kind::U64 => Self::Unsigned(field.bits),
            kind::I64 => Self::Signed(field.bits.cast_signed()),
            kind::F64 => Self::Float(f64::from_bits(field.bits)),
            kind::BOOL => Self::Boolean(field.bits != 0),
            _ => Self::Text(field.text.as_str()),
        }
    }

    fn as_value(&self) -> &dyn Value {
        match self {
            Self::Text(text) => text,
            Self::Unsigned(number) => number,
            Self::Signed(number) => number,
            Self::Float(number) => number,
            Self::Boolean(boolean) => boolean,
        }
    }
}

fn with_values<R>(
    metadata: &'static Metadata<'static>,
    fields: &[Field<'_>],
    then: impl FnOnce(&ValueSet<'_>) -> R,
) -> R {
    let typed: Vec<Typed<'_>> = fields.iter().map(Typed::of).collect();
    let mut values: Vec<Option<&dyn Value>> = vec![None; metadata.fields().len()];
    for (field, typed) in fields.iter().zip(&typed) {
        if let Some(slot) = values.get_mut(field.index as usize) {
            *slot = Some(typed.as_value());
        }
    }
    then(&metadata.fields().value_set_all(&values))
}

impl Receive for Bridge {
    const MAX_LEVEL: &'static AtomicU32 = &MAX_LEVEL;

    fn register(callsite: &abi::Callsite<'_>) -> Registered {
        let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= MAX_SITES {
            return Registered {
                id: u64::MAX,
                interest: interest::NEVER,
            };
        }
        let names: Vec<&'static str> = callsite
            .fields
            .iter()
            .map(|name| leak(name.as_str()))
            .collect();
        let site: &'static Site = Box::leak(Box::new(Site {
            metadata: OnceLock::new(),
        }));
        let metadata = site.metadata.get_or_init(|| {
            Metadata::new(
                leak(callsite.name.as_str()),
                leak(callsite.target.as_str()),
                host_level(callsite.level),
                Some(leak(callsite.file.as_str())),
                Some(callsite.line),
                None,
                FieldSet::new(
                    Box::leak(names.into_boxed_slice()),
                    identify_callsite!(site),
                ),
                if callsite.is_span {
                    Kind::SPAN
                } else {
                    Kind::EVENT
                },
            )
        });
        let id = sites.len() as u64;
        sites.push(site);
        drop(sites);
        tracing_core::callsite::register(site);
        let wanted = dispatcher::get_default(|dispatch| dispatch.register_callsite(metadata));
        let interest = if wanted.is_never() {
            interest::NEVER
        } else if wanted.is_always() {
            interest::ALWAYS
        } else {
            interest::SOMETIMES
        };
        Registered { id, interest }
    }

    fn enabled(id: u64) -> bool {
        metadata(id)
            .is_some_and(|metadata| dispatcher::get_default(|dispatch| dispatch.enabled(metadata)))
    }

    fn event(id: u64, fields: &[Field<'_>]) {
        if let Some(metadata) = metadata(id) {
            with_values(metadata, fields, |values| {
                tracing::Event::dispatch(metadata, values)
            });
        }
    }

    fn new_span(id: u64, fields: &[Field<'_>]) -> u64 {
        let Some(metadata) = metadata(id) else {
            return 1;
        };
        with_values(metadata, fields, |values| {
            let attributes = span::Attributes::new(metadata, values);
            dispatcher::get_default(|dispatch| dispatch.new_span(&attributes).into_u64())
        })
    }

    fn record(span: u64, id: u64, fields: &[Field<'_>]) {
        let Some(metadata) = metadata(id) else { return };
        with_values(metadata, fields, |values| {
            let record = span::Record::new(values);
            dispatcher::get_default(|dispatch| {
                dispatch.record(&span::Id::from_u64(span.max(1)), &record)
            });
        });
    }

    fn enter(span: u64) {
        dispatcher::get_default(|dispatch| dispatch.enter(&span::Id::from_u64(span.max(1))));
    }

    fn exit(span: u64) {
        dispatcher::get_default(|dispatch| dispatch.exit(&span::Id::from_u64(span.max(1))));
    }

    fn clone_span(span: u64) -> u64 {
        dispatcher::get_default(|dispatch| {
            dispatch
                .clone_span(&span::Id::from_u64(span.max(1)))
                .into_u64()
        })
    }

    fn close(span: u64) -> bool {
        dispatcher::get_default(|dispatch| dispatch.try_close(span::Id::from_u64(span.max(1))))
    }
}
