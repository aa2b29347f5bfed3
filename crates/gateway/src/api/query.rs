//! Query parameters: known ones only, each with what was expected.

use actix_web::HttpRequest;
use coordinator_message::Timestamp;

use crate::Problem;

const MAX_LIMIT: usize = 500;
const DEFAULT_LIMIT: usize = 50;

/// The pairs of a query string.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Refuses parameters that are not `known`, rather than pass over a misspelt filter.
    pub(crate) fn read(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        let pairs = serde_urlencoded(request.query_string())?;
        match pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                let detail = format!("unknown parameter `{name}`: expected {}", known.join(", "));
                Err(Problem::bad_request("unknown-parameter", detail))
            }
            None => Ok(Self(pairs)),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.clone())
    }

    /// Parsed by `parse`, which says what it expected.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(&text).map(Some).map_err(|error| {
            Problem::bad_request("malformed-parameter", format!("`{name}`: {error}"))
        })
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parsed(name, Timestamp::parse)
    }

    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let parse = |text: &str| match text.parse::<usize>() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(format!("expected 1 to {MAX_LIMIT}")),
        };
        Ok(self.parsed("limit", parse)?.unwrap_or(DEFAULT_LIMIT))
    }
}

fn serde_urlencoded(query: &str) -> Result<Vec<(String, String)>, Problem> {
    actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
        .map(actix_web::web::Query::into_inner)
        .map_err(|error| Problem::bad_request("malformed-query", error.to_string()))
}
