//! A route's meta, read in place: nothing is copied until it is asked for.

use crate::fields::{Fields, Malformed};

/// What [`RouteMeta`](crate::call::RouteMeta) encodes, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RouteView<'a> {
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path below the mount.
    pub path: &'a str,
    /// Raw query, without `?`.
    pub query: &'a str,
    /// The sender's id of the event, or the SHA-256 of the body.
    pub webhook_id: &'a str,
    params: u64,
    rest: Fields<'a>,
}

impl<'a> RouteView<'a> {
    /// Reads the head; parameters and headers follow as they are asked for.
    ///
    /// # Errors
    ///
    /// If the head is malformed.
    pub fn read(meta: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        let (method, path, query) = (fields.next_str()?, fields.next_str()?, fields.next_str()?);
        let webhook_id = fields.next_str()?;
        // The trace is the host's: it is carried for plugins in processes of their own.
        fields.next_opt_str()?;
        let params = fields.next_u64()?;
        Ok(Self {
            method,
            path,
            query,
            webhook_id,
            params,
            rest: fields,
        })
    }

    /// A parameter of the path.
    #[must_use]
    pub fn param(&self, wanted: &str) -> Option<&'a str> {
        let mut fields = self.rest;
        for _ in 0..self.params {
            let (name, value) = (fields.next_str().ok()?, fields.next_str().ok()?);
            if name == wanted {
                return Some(value);
            }
        }
        None
    }

    /// The first header of this lower-case name.
    #[must_use]
    pub fn header(&self, wanted: &str) -> Option<&'a [u8]> {
        let mut fields = self.rest;
        for _ in 0..self.params.saturating_mul(2) {
            fields.next_bytes().ok()?;
        }
        while !fields.is_empty() {
            let (name, value) = (fields.next_str().ok()?, fields.next_bytes().ok()?);
            if name == wanted {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::RouteMeta;

    #[test]
    fn what_was_written_is_read_in_place() {
        let meta = RouteMeta {
            method: "POST".into(),
            path: "/orders/7".into(),
            query: "a=1".into(),
            webhook_id: "evt_1".into(),
            trace: Some("00-…".into()),
            params: vec![("id".into(), "7".into())],
            headers: vec![("x-a".into(), b"b".to_vec()), ("x-c".into(), b"d".to_vec())],
        };
        let meta = meta.encode();
        let view = RouteView::read(&meta).unwrap();
        assert_eq!((view.method, view.path), ("POST", "/orders/7"));
        assert_eq!((view.query, view.webhook_id), ("a=1", "evt_1"));
        assert_eq!((view.param("id"), view.param("x-a")), (Some("7"), None));
        assert_eq!(view.header("x-c"), Some(b"d".as_slice()));
        assert_eq!(view.header("id"), None);
        assert!(RouteView::read(&meta[..10]).is_err());
    }
}
