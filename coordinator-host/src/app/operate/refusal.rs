//! Why a change was not made, as the API says it.

use std::error::Error;
use std::time::Duration;

use coordinator_gateway::{Problem, StatusCode};
use coordinator_store::StoreError;

use crate::app::AppError;

/// The change was not made, and nothing has changed.
pub(super) fn problem(error: AppError) -> Problem {
    let (status, code) = match &error {
        AppError::Store(error) => return of_store(error),
        AppError::Config(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration"),
        AppError::Wiring(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-wiring"),
        AppError::Plugin { .. } | AppError::Required { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "plugin-does-not-run")
        }
        AppError::Route(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-route"),
        AppError::Dispatch(_) | AppError::Away(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "journal-unavailable")
        }
        _ => {
            tracing::error!(error = %error, "a change was not made");
            return Problem::internal();
        }
    };
    let problem = Problem::new(status, code, told(&error));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return problem.after(Some(Duration::from_secs(5)));
    }
    problem
}

pub(super) fn of_store(error: &StoreError) -> Problem {
    let (status, code) = match error {
        StoreError::Conflict { .. } => (StatusCode::PRECONDITION_FAILED, "revision-conflict"),
        StoreError::NoSuchPlugin(_) => (StatusCode::NOT_FOUND, "no-such-plugin"),
        StoreError::Taken(_) => (StatusCode::CONFLICT, "name-taken"),
        StoreError::NoEarlierVersion(_) => (StatusCode::CONFLICT, "no-earlier-version"),
        StoreError::NoSuchVersion { .. } => (StatusCode::NOT_FOUND, "no-such-version"),
        StoreError::NoSuchRevision(..) => (StatusCode::NOT_FOUND, "no-such-revision"),
        StoreError::Overlaps { .. } | StoreError::Invalid { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-change")
        }
        error => {
            tracing::error!(error = %told(error), "the database does not do what it was asked");
            let detail = "the database cannot be used now: try again later";
            return Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database-unavailable",
                detail,
            )
            .after(Some(Duration::from_secs(5)));
        }
    };
    Problem::new(status, code, told(error))
}

/// What cannot be done, in words of its own; nothing was tried.
pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

/// An error with its causes.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  caused by: {error}"));
        cause = error.source();
    }
    text
}
