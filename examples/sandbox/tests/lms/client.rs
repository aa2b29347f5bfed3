//! A caller of the LMS and of the control API.

use coordinator_sandbox::Sandbox;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A call's answer; `Null` for an empty body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

/// Calls as the LMS plugin does.
#[derive(Clone)]
pub(crate) struct Caller {
    base: String,
    credential: Option<(&'static str, &'static str)>,
    sends_key: bool,
    client: Client,
}

impl Caller {
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let credential = Some(("authorization", "Bearer sandbox-lms-token"));
        Self {
            base: sandbox.url(),
            credential,
            sends_key: true,
            client: Client::new(),
        }
    }

    pub(crate) fn with_credential(
        mut self,
        credential: Option<(&'static str, &'static str)>,
    ) -> Self {
        self.credential = credential;
        self
    }

    pub(crate) fn without_key(&self) -> Self {
        Self {
            sends_key: false,
            ..self.clone()
        }
    }

    pub(crate) async fn enrol(&self, key: &str, body: &Value) -> Reply {
        self.try_enrol(key, body)
            .await
            .expect("the sandbox answers")
    }

    pub(crate) async fn try_enrol(&self, key: &str, body: &Value) -> Result<Reply, reqwest::Error> {
        self.send("POST", "/api/enrollment/v1/enrollment", Some(key), body)
            .await
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.request(method, &format!("/_control{path}"), body)
            .await
    }

    pub(crate) async fn request(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, None, body)
            .await
            .expect("the sandbox answers")
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Reply, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a test names a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some((name, value)) = self.credential {
            request = request.header(name, value);
        }
        if let Some(key) = key.filter(|_| self.sends_key) {
            request = request.header("idempotency-key", key);
        }
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").map(|value| {
            value
                .to_str()
                .expect("the sandbox sends plain headers")
                .to_owned()
        });
        let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
        Ok(Reply {
            status,
            retry_after,
            body,
        })
    }
}

/// An enrolment call's body.
pub(crate) fn enrolment(user: &str, course: &str, order: &str) -> Value {
    json!({
        "user": user,
        "mode": "verified",
        "is_active": true,
        "course_details": { "course_id": course },
        "enrollment_attributes": [
            { "namespace": "order", "name": "order_number", "value": order },
            { "namespace": "order", "name": "source_system", "value": "test" },
        ],
    })
}
