//! The enrolment call: what the LMS checks of it, and what it answers.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::ledger::Asked;

/// Modes the LMS knows.
const MODES: [&str; 8] = [
    "audit",
    "honor",
    "verified",
    "professional",
    "no-id-professional",
    "credit",
    "masters",
    "executive-education",
];

/// The body as it comes; every field optional, so that the answer can name the one that is missing.
#[derive(Deserialize)]
struct Body {
    user: Option<String>,
    mode: Option<String>,
    is_active: Option<bool>,
    course_details: Option<CourseDetails>,
    #[serde(default)]
    enrollment_attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct CourseDetails {
    course_id: Option<String>,
}

#[derive(Deserialize)]
struct Attribute {
    namespace: String,
    name: String,
    value: String,
}

/// An answer: a body, or the `message` of a refusal.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Result<Value, String>,
}

impl Reply {
    pub(super) fn refusal(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            body: Err(message.into()),
        }
    }
}

/// An enrolment call that passed every check.
pub(super) struct Enrolment {
    pub(super) user: String,
    pub(super) course: String,
    mode: String,
    is_active: bool,
}

impl Enrolment {
    /// Who and what a body is about, whether or not it is valid.
    pub(super) fn glance(body: &[u8]) -> Asked {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Asked::default();
        };
        let text = |pointer: &str| {
            body.pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let attributes = body.get("enrollment_attributes").and_then(Value::as_array);
        let order_number = attributes
            .and_then(|list| {
                list.iter()
                    .find(|attribute| attribute["name"] == "order_number")
            })
            .and_then(|attribute| attribute["value"].as_str());
        Asked {
            user: text("/user"),
            course: text("/course_details/course_id"),
            order_number: order_number.map(str::to_owned),
            ..Asked::default()
        }
    }

    /// Checks a body as the LMS does; the refusal is its answer.
    pub(super) fn try_new(body: &[u8]) -> Result<Self, Reply> {
        let bad = |message: String| Reply::refusal(400, message);
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| bad(format!("JSON parse error - {error}")))?;
        let user = body
            .user
            .filter(|user| !user.is_empty())
            .ok_or_else(|| bad("User must be specified.".into()))?;
        let course = body
            .course_details
            .and_then(|details| details.course_id)
            .ok_or_else(|| bad("Course ID must be specified to create a new enrollment.".into()))?;
        if !is_course_key(&course) {
            return Err(bad(format!("No course '{course}' found for enrollment")));
        }
        let mode = body.mode.unwrap_or_else(|| "audit".to_owned());
        if !MODES.contains(&mode.as_str()) {
            return Err(bad(format!(
                "The [{mode}] course mode is not available for course run [{course}]."
            )));
        }
        let is_hollow = |attribute: &Attribute| {
            attribute.namespace.is_empty()
                || attribute.name.is_empty()
                || attribute.value.is_empty()
        };
        if body.enrollment_attributes.iter().any(is_hollow) {
            return Err(bad(
                "Enrollment attributes need a namespace, a name and a value.".into(),
            ));
        }
        Ok(Self {
            user,
            course,
            mode,
            is_active: body.is_active.unwrap_or(true),
        })
    }

    /// The LMS's confirmation; making the same enrolment twice confirms it twice.
    pub(super) fn confirm(&self) -> Reply {
        let body = json!({
            "created": "2026-01-15T09:30:00Z",
            "mode": self.mode,
            "is_active": self.is_active,
            "user": self.user,
            "course_details": {
                "course_id": self.course,
                "course_name": "A Course of the Sandbox",
                "course_start": "2026-01-01T00:00:00Z",
                "course_end": null,
                "enrollment_start": null,
                "enrollment_end": null,
                "invite_only": false,
                "pacing_type": "Self Paced",
                "course_modes": [{
                    "slug": self.mode,
                    "name": "The Mode That Was Asked For",
                    "min_price": 0,
                    "currency": "usd",
                    "sku": null,
                    "bulk_sku": null,
                    "description": null,
                    "expiration_datetime": null,
                    "suggested_prices": "",
                }],
            },
        });
        Reply {
            status: 200,
            body: Ok(body),
        }
    }
}

/// `course-v1:ORG+COURSE+RUN`, each part of letters, digits and `_-~.:`.
fn is_course_key(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '~' | '.' | ':'))
    };
    text.strip_prefix("course-v1:").is_some_and(|key| {
        let parts: Vec<&str> = key.split('+').collect();
        parts.len() == 3 && parts.into_iter().all(is_part)
    })
}
