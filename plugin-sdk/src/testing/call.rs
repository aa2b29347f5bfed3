//! Requests to the routes of a plugin under test.

use coordinator_abi::call::RouteMeta;
use serde::Serialize;

/// A request to a route, as after its signature was verified.
///
/// ```
/// use coordinator_sdk::testing::Call;
///
/// let event = Call::post("/events").webhook_id("evt_1").json(&serde_json::json!({"kind": "paid"}));
/// let page = Call::get("/orders/7?page=2").header("Accept-Language", "de");
/// let upload = Call::new("PUT", "/orders.csv").header("Content-Type", "text/csv").body("A-1,2");
/// ```
#[derive(Debug, Default)]
pub struct Call {
    pub(super) meta: RouteMeta,
    pub(super) body: Vec<u8>,
}

impl Call {
    /// A POST to a path below the mount.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// A GET of a path below the mount; a query may follow it.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Any method.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let meta = RouteMeta {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            webhook_id: "evt_test".to_owned(),
            ..RouteMeta::default()
        };
        Self {
            meta,
            body: Vec::new(),
        }
    }

    /// The sender's id of the event.
    #[must_use]
    pub fn webhook_id(mut self, id: &str) -> Self {
        self.meta.webhook_id = id.to_owned();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.meta
            .headers
            .push((name.to_lowercase(), value.as_bytes().to_vec()));
        self
    }

    /// A JSON body.
    ///
    /// # Panics
    ///
    /// If it does not encode.
    #[must_use]
    pub fn json(self, body: &impl Serialize) -> Self {
        self.body(serde_json::to_vec(body).expect("a test's body encodes as JSON"))
    }

    /// A raw body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
