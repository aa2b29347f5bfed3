//! The echo plugin's route, written into the host: it goes through the same gateway, to no plugin.

use bytes::Bytes;
use coordinator_abi::call::ResponseMeta;
use coordinator_context::{Answering, RouteFailed, RouteReply, RouteRequest, RouteTarget};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order {
    number: String,
    amount: i64,
    currency: String,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
    title: String,
}

/// Answers an order with itself.
pub(crate) struct NativeEcho;

impl RouteTarget for NativeEcho {
    fn name(&self) -> &str {
        "native"
    }

    fn answer<'a>(&'a self, _: u32, request: RouteRequest<'a>) -> Answering<'a> {
        Box::pin(async move {
            let order: Result<Order, _> = serde_json::from_slice(&request.body);
            match order.and_then(|order| serde_json::to_vec(&order)) {
                Ok(body) => RouteReply::Response {
                    head: ResponseMeta {
                        status: 200,
                        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
                    },
                    body: Bytes::from(body),
                },
                Err(error) => RouteReply::Failed(RouteFailed {
                    status: 400,
                    code: "malformed-body".to_owned(),
                    detail: error.to_string(),
                    after: None,
                    chain: Vec::new(),
                }),
            }
        })
    }
}
