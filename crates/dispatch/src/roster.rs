//! The handlers that there are just now, for everybody who looks at all of them.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::handler::Handler;

/// The handlers in the order of their targets. Replaced as a whole.
#[derive(Default)]
pub(crate) struct Roster(ArcSwap<Vec<Arc<Handler>>>);

impl Roster {
    pub(crate) fn new(handlers: Vec<Arc<Handler>>) -> Self {
        Self(ArcSwap::from_pointee(handlers))
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Handler>>> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, handlers: Vec<Arc<Handler>>) {
        self.0.store(Arc::new(handlers));
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Handler>> {
        let all = self.0.load();
        all.iter().find(|handler| handler.id() == id).cloned()
    }
}
