//! What each kind of call answers its host.

use coordinator_abi::call::{FailureMeta, ResponseMeta, json};
use coordinator_abi::code::outcome;
use coordinator_abi::step::encode_flow;
use coordinator_abi::{Code, Outcome};

use crate::check::Finding;
use crate::command::Output;
use crate::step::{StepError, Stepped};
use crate::{HandlerError, Response, RouteError};

pub(super) fn handled(answer: Result<(), HandlerError>) -> Outcome {
    let Err(error) = answer else {
        return Outcome::ok();
    };
    let (retry, after, chain) = error.into_parts();
    let after_ms = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let code = if retry { outcome::RETRY } else { outcome::DEAD };
    Outcome::with_meta(code, FailureMeta { after_ms, chain }.encode())
}

pub(super) fn routed(answer: Result<Response, RouteError>) -> Outcome {
    match answer {
        Ok(response) => {
            let (head, body) = response.into_parts();
            Outcome {
                code: outcome::OK,
                meta: head.encode(),
                body,
            }
        }
        Err(error) => Outcome::with_meta(outcome::FAILED, json(&error.into_meta())),
    }
}

pub(super) fn stepped(answer: Result<Stepped, StepError>) -> Outcome {
    match answer {
        Ok((follows, value)) => Outcome {
            code: outcome::OK,
            meta: encode_flow(follows),
            body: value,
        },
        Err(error) => Outcome::with_meta(outcome::FAILED, json(&error.into_meta())),
    }
}

pub(super) fn told(output: Output) -> Outcome {
    let head = ResponseMeta {
        status: 200,
        headers: vec![(
            "content-type".to_owned(),
            output.content_type.as_bytes().to_vec(),
        )],
    };
    Outcome {
        code: outcome::OK,
        meta: head.encode(),
        body: output.body,
    }
}

pub(super) fn found(findings: Vec<Finding>) -> Outcome {
    let findings: Vec<_> = findings.into_iter().map(Finding::into_meta).collect();
    Outcome {
        body: json(&findings),
        ..Outcome::ok()
    }
}

pub(super) fn failed(code: Code, chain: Vec<String>) -> Outcome {
    let failure = FailureMeta {
        after_ms: None,
        chain,
    };
    Outcome::with_meta(code, failure.encode())
}

pub(super) fn not_started() -> Outcome {
    failed(
        outcome::UNAVAILABLE,
        vec!["the plugin is not started".to_owned()],
    )
}
