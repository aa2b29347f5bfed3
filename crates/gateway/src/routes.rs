//! Which plugin route a request is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator_abi::manifest::Access;
use coordinator_config::Secret;
use coordinator_context::RouteTarget;
use coordinator_webhooks::{Scheme, SchemeConfig, UnknownScheme};
use coordinator_wiring::BoundRoute;
use matchit::Router;

/// A route, the plugin that answers it, and the secrets that verify it.
pub struct MountedRoute {
    /// Where it is.
    pub bound: BoundRoute,
    /// Who answers.
    pub plugin: Arc<dyn RouteTarget>,
    /// Values of the setting that `verify` names.
    pub secrets: Vec<Secret>,
}

/// Every route of every running plugin, by method and path.
#[derive(Default)]
pub struct RouteTable {
    methods: BTreeMap<String, Router<Arc<Entry>>>,
    /// Mounts of plugins that do not run, and why.
    closed: Vec<(String, String)>,
}

/// One route, ready to be called.
pub(crate) struct Entry {
    pub(crate) plugin: Arc<dyn RouteTarget>,
    pub(crate) index: u32,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) mount_len: usize,
    pub(crate) guard: Guard,
    pub(crate) body_limit: Option<u64>,
}

/// Who may call a route.
pub(crate) enum Guard {
    Public,
    Key,
    Verify(Scheme, SchemeConfig),
}

/// What a request's method and path lead to.
pub(crate) enum Found {
    Route(Arc<Entry>, Vec<(String, String)>),
    /// The path is there, with other methods.
    Methods(Vec<String>),
    /// The plugin behind the path does not run.
    Closed(String),
    Nothing,
}

/// A route cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// This host has no such verifier.
    #[error("route `{route}` cannot be verified")]
    Scheme {
        /// Method and path.
        route: String,
        /// Why.
        #[source]
        source: UnknownScheme,
    },
    /// Two routes fit one path.
    #[error("route `{route}` cannot be told apart from another")]
    Path {
        /// Method and path.
        route: String,
        /// Why.
        #[source]
        source: matchit::InsertError,
    },
}

impl RouteTable {
    /// Indexes the routes. `closed` are the mounts of plugins that do not run, and why.
    ///
    /// # Errors
    ///
    /// If one of them cannot be served.
    pub fn build(
        routes: Vec<MountedRoute>,
        closed: Vec<(String, String)>,
    ) -> Result<Self, RouteError> {
        let mut table = Self {
            closed,
            ..Self::default()
        };
        for route in routes {
            let entry = Entry::new(route)?;
            let (method, path) = (entry.method.clone(), entry.path.clone());
            let router = table.methods.entry(method).or_default();
            let shown = format!("{} {path}", entry.method);
            router
                .insert(path, Arc::new(entry))
                .map_err(|source| RouteError::Path {
                    route: shown,
                    source,
                })?;
        }
        Ok(table)
    }

    /// A trailing slash is tolerated.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found {
        let path = if path.len() > 1 {
            path.strip_suffix('/').unwrap_or(path)
        } else {
            path
        };
        if let Some(found) = self
            .methods
            .get(method)
            .and_then(|router| router.at(path).ok())
        {
            let params = found
                .params
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            return Found::Route(Arc::clone(found.value), params.collect());
        }
        let others = self
            .methods
            .iter()
            .filter(|(_, router)| router.at(path).is_ok());
        let others: Vec<String> = others.map(|(method, _)| method.clone()).collect();
        if !others.is_empty() {
            return Found::Methods(others);
        }
        let inside = |mount: &str| {
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self.closed.iter().find(|(mount, _)| inside(mount)) {
            Some((_, why)) => Found::Closed(why.clone()),
            None => Found::Nothing,
        }
    }
}

impl Entry {
    fn new(route: MountedRoute) -> Result<Self, RouteError> {
        let MountedRoute {
            bound,
            plugin,
            secrets,
        } = route;
        let guard = match &bound.access {
            Access::Public => Guard::Public,
            Access::Key(_) => Guard::Key,
            Access::Verify(verify) => {
                let shown = || format!("{} {}", bound.method, bound.path);
                let scheme =
                    Scheme::parse(&verify.scheme).map_err(|source| RouteError::Scheme {
                        route: shown(),
                        source,
                    })?;
                let mut config = SchemeConfig::new(secrets);
                if let Some(seconds) = verify
                    .options
                    .get("tolerance")
                    .and_then(serde_json::Value::as_u64)
                {
                    config.tolerance = std::time::Duration::from_secs(seconds);
                }
                Guard::Verify(scheme, config)
            }
        };
        let below = if bound.below_mount == "/" {
            0
        } else {
            bound.below_mount.len()
        };
        Ok(Self {
            plugin,
            index: bound.index,
            method: bound.method,
            mount_len: bound.path.len() - below,
            path: bound.path,
            guard,
            body_limit: bound.body_limit,
        })
    }
}
