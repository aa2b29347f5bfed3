//! API keys from the configuration.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use coordinator_config::ApiKey;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Problem;

/// Who may use the API. Only hashes are kept.
#[derive(Default)]
pub struct ApiKeys(Vec<(String, [u8; 32])>);

impl ApiKeys {
    /// Of these keys.
    #[must_use]
    pub fn new(keys: &[ApiKey]) -> Self {
        Self(
            keys.iter()
                .map(|key| (key.name.clone(), hash(key.secret.expose())))
                .collect(),
        )
    }

    /// The name of the key that the request carries.
    ///
    /// # Errors
    ///
    /// 401, saying what is missing.
    pub(crate) fn check(&self, request: &HttpRequest) -> Result<&str, Problem> {
        let refuse = |detail: &str| {
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                detail,
            ))
        };
        if self.0.is_empty() {
            return refuse(
                "no API key is configured on this host: add `[api.keys.NAME] secret = \"env:…\"`",
            );
        }
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            return refuse("this needs an API key: send `Authorization: Bearer KEY`");
        };
        let given = hash(token.trim());
        // Every key is compared, each in constant time.
        let mut found = None;
        for (name, expected) in &self.0 {
            if bool::from(expected.ct_eq(&given)) {
                found = Some(name.as_str());
            }
        }
        found.map_or_else(|| refuse("the API key is not known"), Ok)
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
