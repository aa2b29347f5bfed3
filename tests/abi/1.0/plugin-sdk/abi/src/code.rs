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
}

/// Panic strategies, as a plugin's header names them. Anything else means [`ABORT`](strategy::ABORT).
pub mod strategy {
    use super::Code;

    /// Panics unwind: the guards work.
    pub const UNWIND: Code = Code(1);
    /// Panics end the process.
    pub const ABORT: Code = Code(2);
}
