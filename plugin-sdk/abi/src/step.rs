//! What the `meta` of a step's call and of its answer holds.

use crate::code::flow;
use crate::fields::{Fields, FieldsWriter, Malformed};
use crate::{Code, SharedBytes};

/// One step of one run. `body` of the call is the value that the steps before it made, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepMeta {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Id of the run, the same for all its steps: fit to be an idempotency key.
    pub run: String,
    /// W3C traceparent.
    pub trace: Option<String>,
    /// When the host gives the step up, in milliseconds since the epoch.
    pub deadline_ms: Option<u64>,
}

impl StepMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(160);
        fields
            .put(&self.pipeline)
            .put(&self.run)
            .put_opt(self.trace.as_ref())
            .put_opt(self.deadline_ms.map(u64::to_le_bytes));
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        Ok(Self {
            pipeline: fields.next_str()?.to_owned(),
            run: fields.next_str()?.to_owned(),
            trace: fields.next_opt_str()?.map(str::to_owned),
            deadline_ms: fields.next_opt_u64()?,
        })
    }
}

/// `meta` of a step that is done: what follows it ([`flow`]). Its value is the answer's `body`.
#[must_use]
pub fn encode_flow(follows: Code) -> SharedBytes {
    const CONTINUE: &[u8] = &flow::CONTINUE.0.to_le_bytes();
    const HALT: &[u8] = &flow::HALT.0.to_le_bytes();
    SharedBytes::from_static(if follows == flow::CONTINUE {
        CONTINUE
    } else {
        HALT
    })
}

/// What follows a step, by the `meta` of its answer.
#[must_use]
pub fn decode_flow(meta: &[u8]) -> Code {
    match meta.try_into().map(u32::from_le_bytes) {
        Ok(code) if Code(code) == flow::CONTINUE => flow::CONTINUE,
        _ => flow::HALT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_knows_its_run_and_what_follows_it() {
        let meta = StepMeta {
            pipeline: "org.example.order.history.v1".to_owned(),
            run: "r-1".to_owned(),
            trace: None,
            deadline_ms: Some(9),
        };
        assert_eq!(StepMeta::decode(&meta.encode()), Ok(meta));
        assert_eq!(decode_flow(&encode_flow(flow::CONTINUE)), flow::CONTINUE);
        assert_eq!(decode_flow(&encode_flow(flow::HALT)), flow::HALT);
        assert_eq!(decode_flow(b"?"), flow::HALT, "fail closed");
    }
}
