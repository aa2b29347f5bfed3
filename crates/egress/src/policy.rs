//! Which hosts a plugin may call.

use std::collections::BTreeSet;

use url::{Host, Origin, Url};

/// The hosts of one plugin: the origins of its own URL settings, and what its operator allowed.
#[derive(Debug, Clone)]
pub struct HostPolicy {
    plugin: String,
    origins: BTreeSet<String>,
    patterns: Vec<Pattern>,
}

/// A pattern of `allow_hosts` that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{pattern}` is not a host\n  (a name, `*.` and a domain, or either with a port: lms.example.org, *.example.org, localhost:8000)"
)]
pub struct PolicyError {
    pattern: String,
}

#[derive(Debug, Clone)]
struct Pattern {
    name: HostName,
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum HostName {
    Exact(Host),
    /// The domain with a dot before it; the domain itself is not meant.
    Below(String),
}

/// How much an operator said about a host that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Named: may be on the operator's own network.
    Named,
    /// One of many: whoever runs the domain could point it anywhere.
    Wildcard,
}

impl HostPolicy {
    /// The policy of `plugin`, from the values of its URL settings and `allow_hosts`.
    ///
    /// # Errors
    /// When one of `allow_hosts` is neither a host nor a pattern.
    pub fn new<'a>(
        plugin: impl Into<String>,
        origins: impl IntoIterator<Item = &'a Url>,
        allow_hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PolicyError> {
        Ok(Self {
            plugin: plugin.into(),
            origins: origins
                .into_iter()
                .map(|url| url.origin().ascii_serialization())
                .collect(),
            patterns: allow_hosts
                .into_iter()
                .map(Pattern::parse)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Instance name of the plugin.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Whether, and on whose word, the URL may be called.
    pub(crate) fn grant(&self, url: &Url) -> Option<Grant> {
        let origin = url.origin();
        if matches!(origin, Origin::Opaque(_)) || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        if self.origins.contains(&origin.ascii_serialization()) {
            return Some(Grant::Named);
        }
        let mut grants = self
            .patterns
            .iter()
            .filter_map(|pattern| pattern.grant(url));
        let first = grants.next()?;
        // The stronger word counts where both were given.
        Some(if grants.any(|grant| grant == Grant::Named) {
            Grant::Named
        } else {
            first
        })
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PolicyError> {
        let error = || PolicyError {
            pattern: text.to_owned(),
        };
        // A colon inside brackets belongs to an IPv6 address.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, Some(port.parse().map_err(|_| error())?))
            }
            _ => (text, None),
        };
        let name = match name.strip_prefix("*.") {
            Some(domain) => match Host::parse(domain).map_err(|_| error())? {
                // `*.org` would be everybody.
                Host::Domain(domain) if domain.contains('.') && !domain.contains('*') => {
                    HostName::Below(format!(".{domain}"))
                }
                _ => return Err(error()),
            },
            None if name.contains('*') => return Err(error()),
            None => HostName::Exact(Host::parse(name).map_err(|_| error())?),
        };
        Ok(Self { name, port })
    }

    fn grant(&self, url: &Url) -> Option<Grant> {
        if self
            .port
            .is_some_and(|port| url.port_or_known_default() != Some(port))
        {
            return None;
        }
        let host = url.host()?;
        match &self.name {
            HostName::Exact(allowed) => (host == *allowed).then_some(Grant::Named),
            HostName::Below(suffix) => match host {
                Host::Domain(name) if name.len() > suffix.len() && name.ends_with(suffix) => {
                    Some(Grant::Wildcard)
                }
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(policy: &HostPolicy, url: &str) -> Option<Grant> {
        policy.grant(&url.parse().unwrap())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let lms: Url = "http://localhost:18000/api/enrollment".parse().unwrap();
        let policy = HostPolicy::new("lms", [&lms], []).unwrap();
        assert_eq!(
            grant(&policy, "http://localhost:18000/other"),
            Some(Grant::Named)
        );
        for other in [
            "https://localhost:18000/",
            "http://localhost/",
            "http://localhost.evil:18000/",
            "file:///x",
        ] {
            assert_eq!(grant(&policy, other), None, "{other}");
        }
    }

    #[test]
    fn patterns_allow_a_host_a_port_or_a_domain() {
        let allowed = [
            "api.example.org",
            "*.Shop.example",
            "10.0.0.7:8080",
            "[::1]:9000",
            "[::2]",
        ];
        let policy = HostPolicy::new("lms", [], allowed).unwrap();
        assert_eq!(
            grant(&policy, "https://API.example.org:8443/"),
            Some(Grant::Named)
        );
        assert_eq!(
            grant(&policy, "https://eu.shop.example/"),
            Some(Grant::Wildcard)
        );
        assert_eq!(grant(&policy, "http://10.0.0.7:8080/"), Some(Grant::Named));
        assert_eq!(grant(&policy, "http://[::1]:9000/"), Some(Grant::Named));
        assert_eq!(grant(&policy, "http://[::2]:1/"), Some(Grant::Named));
        for refused in [
            "https://shop.example/",
            "https://evilshop.example/",
            "https://eu.shop.example.evil/",
            "https://api.example.org@evil.example/",
            "http://10.0.0.7/",
            "http://[::1]/",
        ] {
            assert_eq!(grant(&policy, refused), None, "{refused}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for pattern in [
            "*",
            "*.org",
            "",
            "http://x.org",
            "x.org/path",
            "a:b",
            "*.10.0.0.1",
            "a.*.org",
        ] {
            assert!(HostPolicy::new("lms", [], [pattern]).is_err(), "{pattern}");
        }
    }
}
