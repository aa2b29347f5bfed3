//! Codes instead of enums: an unknown number is not undefined behaviour, it is a refusal.

use abi_stable::StableAbi;

/// A number with named values. What is not known is treated as the fail-closed value of its kind.
#[repr(transparent)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

/// How a call ended. Anything else means [`FAILED`](outcome::FAILED).
pub mod outcome {
    use super::Code;

    /// Done. Zero is not "done", so that zeroed memory never passes for success.
    pub const OK: Code = Code(1);
    /// A handler asks for another attempt.
    pub const RETRY: Code = Code(2);
    /// A handler refuses the message for good.
    pub const DEAD: Code = Code(3);
    /// The callee panicked; the guard on its own side caught it.
    pub const PANICKED: Code = Code(4);
    /// The input was refused.
    pub const REJECTED: Code = Code(5);
    /// The journal has no room now.
    pub const FULL: Code = Code(6);
    /// A service that the call needs is not there now.
    pub const UNAVAILABLE: Code = Code(7);
    /// The plugin has no such capability.
    pub const FORBIDDEN: Code = Code(8);
    /// It took too long.
    pub const TIMEOUT: Code = Code(9);
    /// The callee does not know the operation.
    pub const UNSUPPORTED: Code = Code(10);
    /// Failed otherwise.
    pub const FAILED: Code = Code(11);
    /// The host does not call that system for a while: it failed again and again.
    pub const OPEN: Code = Code(12);
}

/// What a plugin is asked to do. It answers an unknown one with `UNSUPPORTED`.
pub mod op {
    use super::Code;

    /// Make the plugin's state of its settings.
    pub const START: Code = Code(1);
    /// Handle one message.
    pub const HANDLE: Code = Code(2);
    /// Answer one request.
    pub const ROUTE: Code = Code(3);
    /// Say whether it is well.
    pub const HEALTH: Code = Code(4);
    /// Finish; nothing is called after it.
    pub const STOP: Code = Code(5);
    /// Do one step of a pipeline ([`StepMeta`](crate::step::StepMeta)). Since 1.1, as all that follow.
    pub const STEP: Code = Code(6);
    /// A schedule is due; called and answered as [`HANDLE`] is.
    pub const SCHEDULE: Code = Code(7);
    /// Run a command; its arguments are a JSON object.
    pub const COMMAND: Code = Code(8);
    /// Look for what is wrong ([`Finding`](crate::call::Finding)s).
    pub const CHECK: Code = Code(9);
}

/// What a plugin asks its host for, and waits for. A host answers an unknown one with `UNSUPPORTED`. Since 1.1.
pub mod ask {
    use super::Code;

    /// Run a pipeline. `meta`: [`RunMeta`](crate::ask::RunMeta); `body`: its input as JSON. Answer: its value as JSON in
    /// `body`, [`RunReply`](crate::ask::RunReply) in `meta`. Failed: [`RouteFailure`](crate::call::RouteFailure).
    pub const RUN: Code = Code(1);
    /// Read a value. This and the rest but [`SETTINGS`]: `meta` is a [`KeyMeta`](crate::ask::KeyMeta), the answer's a
    /// [`KeyReply`](crate::ask::KeyReply). `number`: was it there? `body`: the value.
    pub const CACHE_GET: Code = Code(2);
    /// Keep the value in `body`.
    pub const CACHE_SET: Code = Code(3);
    /// Forget a value. `number`: was it there?
    pub const CACHE_DELETE: Code = Code(4);
    /// Keep the value in `body` unless there is one. `number`: was it added?
    pub const CACHE_ADD: Code = Code(5);
    /// Add `by` to a number. `number`: the sum.
    pub const CACHE_INCR: Code = Code(6);
    /// Hold a lock. `number`: is it ours? Then `token` is its owner's.
    pub const LOCK_ACQUIRE: Code = Code(7);
    /// Hold it `ttl_ms` from now. `number`: was it still ours?
    pub const LOCK_EXTEND: Code = Code(8);
    /// Give it up. `number`: was it still ours?
    pub const LOCK_RELEASE: Code = Code(9);
    /// `number`: is this the first one to ask for the key within `ttl_ms`?
    pub const ONCE: Code = Code(10);
    /// The settings that the instance runs with, secrets resolved, as JSON in `body`.
    pub const SETTINGS: Code = Code(11);
}

/// What a plugin tells its host, or asks and has at once. A host answers an unknown one with [`UNKNOWN`](tell::UNKNOWN).
/// Since 1.1.
pub mod tell {
    use super::Code;

    /// Is a flag on? Input: its name. Answer: 0 or 1, or [`UNKNOWN`] for the plugin's own default.
    pub const FLAG: Code = Code(1);
    /// Measure ([`MetricTell`](crate::ask::MetricTell)). Answer: 1 if it was counted, 0 if it was refused.
    pub const METRIC: Code = Code(2);
    /// Give a lock up without waiting ([`KeyMeta`](crate::ask::KeyMeta)). Answer: 1.
    pub const LOCK_RELEASE: Code = Code(3);
    /// The answer of a host that does not know what it is told.
    pub const UNKNOWN: u64 = u64::MAX;
}

/// Kinds of measures. Since 1.1.
pub mod metric {
    use super::Code;

    /// Add to a sum that only grows.
    pub const COUNTER: Code = Code(1);
    /// This is the value now.
    pub const GAUGE: Code = Code(2);
    /// One more observation.
    pub const HISTOGRAM: Code = Code(3);
}

/// What follows a step. Anything else means [`HALT`](flow::HALT). Since 1.1.
pub mod flow {
    use super::Code;

    /// The next step.
    pub const CONTINUE: Code = Code(1);
    /// The end of the pipeline: the value is its answer.
    pub const HALT: Code = Code(2);
}

/// Panic strategies, as a plugin's header names them. Anything else means [`ABORT`](strategy::ABORT).
pub mod strategy {
    use super::Code;

    /// Panics unwind: the guards work.
    pub const UNWIND: Code = Code(1);
    /// Panics end the process.
    pub const ABORT: Code = Code(2);
}
