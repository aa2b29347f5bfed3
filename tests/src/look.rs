//! What the API shows of a house.

use serde_json::{Value, json};

use crate::{TestHouse, eventually};

impl TestHouse {
    /// `GET`, with the key, of a path that answers 200 with JSON.
    ///
    /// # Panics
    ///
    /// If it answers anything else.
    #[track_caller]
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        self.ask("GET", path).key().send().is(200).json()
    }

    /// Every item of a list of the API, oldest first, whatever the number of pages.
    #[track_caller]
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}{join}limit=500{cursor}"));
            if let Value::Array(more) = page["items"].take() {
                items.extend(more);
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        items.reverse();
        items
    }

    /// The messages of a type, oldest first.
    #[track_caller]
    #[must_use]
    pub fn messages(&self, ty: &str) -> Vec<Value> {
        self.list(&format!("/api/v1/messages?type={ty}"))
    }

    /// A message with its payload and deliveries.
    #[track_caller]
    #[must_use]
    pub fn message(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/messages/{id}"))
    }

    /// The dead letters, oldest first.
    #[track_caller]
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Value> {
        self.list("/api/v1/dead-letters")
    }

    /// How far a handler is.
    #[track_caller]
    #[must_use]
    pub fn handler(&self, id: &str) -> Value {
        let mut handlers = self.get("/api/v1/handlers");
        let found = handlers["items"].as_array_mut();
        let found = found.and_then(|items| items.iter_mut().find(|handler| handler["id"] == id));
        found.map_or(Value::Null, Value::take)
    }

    /// Waits until this handler has settled everything.
    #[track_caller]
    pub fn until_settled(&self, handler: &str) {
        eventually(&format!("`{handler}` has settled everything"), || {
            (self.handler(handler)["lag"] == 0).then_some(())
        });
    }

    /// What the test announced of its end is so.
    pub(crate) fn check_settled(&self) {
        eventually("every delivery is settled", || {
            let handlers = self.get("/api/v1/handlers");
            let idle = |handler: &Value| handler["lag"] == 0;
            handlers["items"].as_array()?.iter().all(idle).then_some(())
        });
        let dead = self.dead_letters();
        let letters: Vec<Value> = dead
            .iter()
            .map(|letter| json!([letter["handler"], letter["failure"]]))
            .collect();
        assert_eq!(dead.len(), self.dead_letters, "dead letters: {letters:#?}");
    }
}
