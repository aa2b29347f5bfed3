//! The plugin's half of the log bridge: its `tracing` is its own copy, and forwards to the host's.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, RwLock};

use coordinator_abi::log::{self as abi, Callsite, Log, interest, kind, level};
use coordinator_abi::{Code, panic};
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber, span};

static INSTALL: Once = Once::new();

/// Sends logs and panics of this plugin to the host. Once per loaded file: its instances share one `tracing`.
pub(crate) fn install(log: Log) {
    INSTALL.call_once(|| {
        // Fails only where a subscriber is set already: then the plugin's author wanted it so.
        let _ = tracing::subscriber::set_global_default(Forward {
            log,
            sites: RwLock::default(),
            spans: Mutex::default(),
        });
        // The plugin's std has a panic hook of its own; the host's never runs here.
        std::panic::set_hook(Box::new(|info| {
            panic::note(info);
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(
                target: "coordinator_sdk::panic",
                location = place,
                "plugin panicked: {}", panic::message(info.payload())
            );
        }));
    });
}

struct Forward {
    log: Log,
    /// Address of the metadata and the host's id of it, sorted by address.
    sites: RwLock<Vec<(usize, u64)>>,
    /// The callsite of each open span, for values that are recorded later.
    spans: Mutex<HashMap<u64, u64>>,
}

const UNKNOWN: u64 = u64::MAX;

fn address(metadata: &Metadata<'_>) -> usize {
    std::ptr::from_ref(metadata).cast::<()>() as usize
}

fn code(level: Level) -> Code {
    match level {
        Level::ERROR => level::ERROR,
        Level::WARN => level::WARN,
        Level::INFO => level::INFO,
        Level::DEBUG => level::DEBUG,
        Level::TRACE => level::TRACE,
    }
}

impl Forward {
    /// The host's id of a callsite. Two threads may come to one at the same time: while the first introduces it, `tracing`
    /// asks for the second without it having been introduced.
    fn id(&self, metadata: &Metadata<'_>) -> u64 {
        self.known(metadata)
            .unwrap_or_else(|| self.introduce(metadata).id)
    }

    fn known(&self, metadata: &Metadata<'_>) -> Option<u64> {
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner);
        let found = sites.binary_search_by_key(&address(metadata), |site| site.0);
        found.ok().map(|at| sites[at].1)
    }

    /// Tells the host of a callsite, for the first time or again.
    fn introduce(&self, metadata: &Metadata<'_>) -> abi::Registered {
        let names: Vec<_> = metadata
            .fields()
            .iter()
            .map(|field| field.name().into())
            .collect();
        let registered = self.log.register(&Callsite {
            name: metadata.name().into(),
            target: metadata.target().into(),
            file: metadata.file().unwrap_or_default().into(),
            line: metadata.line().unwrap_or_default(),
            level: code(*metadata.level()),
            is_span: metadata.is_span(),
            fields: names.as_slice().into(),
        });
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        match sites.binary_search_by_key(&address(metadata), |site| site.0) {
            Ok(at) => sites[at].1 = registered.id,
            Err(at) => sites.insert(at, (address(metadata), registered.id)),
        }
        registered
    }

    fn spans(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Forward {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let registered = self.introduce(metadata);
        match registered.interest {
            interest::NEVER => Interest::never(),
            interest::ALWAYS => Interest::always(),
            _ => Interest::sometimes(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        code(*metadata.level()).0 <= self.log.max_level().0 && self.log.enabled(self.id(metadata))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.log.max_level() {
            Code(0) => LevelFilter::OFF,
            level::ERROR => LevelFilter::ERROR,
            level::WARN => LevelFilter::WARN,
            level::INFO => LevelFilter::INFO,
            level::DEBUG => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut values = Values::default();
        attributes.record(&mut values);
        let site = self.id(attributes.metadata());
        let span = self.log.new_span(site, &values.lend()).max(1);
        self.spans().insert(span, site);
        span::Id::from_u64(span)
    }

    fn record(&self, span: &span::Id, record: &span::Record<'_>) {
        let span = span.into_u64();
        let site = self.spans().get(&span).copied();
        let mut values = Values::default();
        record.record(&mut values);
        self.log
            .record(span, site.unwrap_or(UNKNOWN), &values.lend());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut values = Values::default();
        event.record(&mut values);
        self.log.event(self.id(event.metadata()), &values.lend());
    }

    fn enter(&self, span: &span::Id) {
        self.log.enter(span.into_u64());
    }

    fn exit(&self, span: &span::Id) {
        self.log.exit(span.into_u64());
    }

    fn clone_span(&self, span: &span::Id) -> span::Id {
        span::Id::from_u64(self.log.clone_span(span.into_u64()).max(1))
    }

    fn try_close(&self, span: span::Id) -> bool {
        let span = span.into_u64();
        let last = self.log.close(span);
        if last {
            self.spans().remove(&span);
        }
        last
    }
}

/// The values of one event or span, owned for the length of the call.
#[derive(Default)]
struct Values(Vec<(u32, Code, u64, String)>);

impl Values {
    fn number(&mut self, field: &tracing::field::Field, kind: Code, bits: u64) {
        self.0.push((index(field), kind, bits, String::new()));
    }

    fn lend(&self) -> Vec<abi::Field<'_>> {
        let mut lent = Vec::with_capacity(self.0.len());
        for (index, kind, bits, text) in &self.0 {
            lent.push(abi::Field {
                index: *index,
                kind: *kind,
                bits: *bits,
                text: text.as_str().into(),
            });
        }
        lent
    }
}

fn index(field: &tracing::field::Field) -> u32 {
    u32::try_from(field.index()).unwrap_or(u32::MAX)
}

impl Visit for Values {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0
            .push((index(field), kind::TEXT, 0, format!("{value:?}")));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.push((index(field), kind::TEXT, 0, value.to_owned()));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.number(field, kind::U64, value);
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.number(field, kind::I64, value.cast_unsigned());
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.number(field, kind::F64, value.to_bits());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.number(field, kind::BOOL, u64::from(value));
    }
}
