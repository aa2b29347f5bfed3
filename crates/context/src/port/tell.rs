//! What a plugin tells its host, or asks and has at once. Nothing here waits.

use coordinator_abi::Code;
use coordinator_abi::ask::MetricTell;
use coordinator_abi::code::{metric, tell};
use coordinator_telemetry::metric::Measure;

use super::Port;

impl Port {
    pub(super) fn told(&self, what: Code, input: &[u8]) -> u64 {
        match what {
            tell::FLAG => std::str::from_utf8(input)
                .ok()
                .and_then(|name| {
                    self.shared
                        .services
                        .flags
                        .is_on(&self.shared.instance, name)
                })
                .map_or(tell::UNKNOWN, u64::from),
            tell::METRIC => u64::from(self.measured(input)),
            tell::LOCK_RELEASE => u64::from(self.release_later(input).is_ok()),
            _ => tell::UNKNOWN,
        }
    }

    fn measured(&self, input: &[u8]) -> bool {
        let Ok(told) = MetricTell::read(input) else {
            return false;
        };
        let measure = match told.kind {
            metric::COUNTER => Measure::Count,
            metric::GAUGE => Measure::Set,
            metric::HISTOGRAM => Measure::Observe,
            _ => return false,
        };
        let meter = &self.shared.meter;
        meter.measure(measure, told.name, told.value, told.labels())
    }
}
