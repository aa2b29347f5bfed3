//! Flags of plugins: what their authors say, and what operators say over that, in memory. Handlers ask thousands of times
//! a second, so an answer is two look-ups and nothing that waits.

use std::collections::{BTreeMap, HashMap};

use arc_swap::ArcSwap;
use coordinator_wiring::BoundFlag;
use serde::Serialize;

/// Every flag of every plugin, changed as a whole while the host runs.
#[derive(Debug, Default)]
pub struct Flags(ArcSwap<Snapshot>);

#[derive(Debug, Default)]
struct Snapshot {
    /// By instance, then by name.
    states: HashMap<String, HashMap<String, bool>>,
    /// For lists, by id.
    views: Vec<FlagView>,
}

/// A flag and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlagView {
    /// `instance.flag`.
    pub id: String,
    /// What it switches.
    pub doc: String,
    /// Is it on?
    pub on: bool,
    /// Would it be on if no operator had said anything?
    pub default: bool,
    /// What an operator has said.
    pub set: Option<bool>,
}

impl Flags {
    /// Puts these flags, and what operators say of them, in the place of those before.
    pub fn replace(&self, declared: &[BoundFlag], set: &BTreeMap<String, bool>) {
        let mut snapshot = Snapshot::default();
        for flag in declared {
            let set = set.get(&flag.id).copied();
            let on = set.unwrap_or(flag.default);
            if let Some((instance, name)) = flag.id.split_once('.') {
                let of_instance = snapshot.states.entry(instance.to_owned()).or_default();
                of_instance.insert(name.to_owned(), on);
            }
            snapshot.views.push(FlagView {
                id: flag.id.clone(),
                doc: flag.doc.clone(),
                on,
                default: flag.default,
                set,
            });
        }
        snapshot.views.sort_by(|one, other| one.id.cmp(&other.id));
        self.0.store(snapshot.into());
    }

    /// Is it on? `None` if the instance declares no such flag.
    #[must_use]
    pub fn is_on(&self, instance: &str, name: &str) -> Option<bool> {
        self.0.load().states.get(instance)?.get(name).copied()
    }

    /// All of them, by id.
    #[must_use]
    pub fn list(&self) -> Vec<FlagView> {
        self.0.load().views.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_comes_before_the_author_and_unknown_flags_are_neither_on_nor_off() {
        let flag = |id: &str, default| BoundFlag {
            id: id.to_owned(),
            plugin: "p".to_owned(),
            doc: "Switches.".to_owned(),
            default,
        };
        let declared = [flag("shop.fast", false), flag("lms.new_checkout", true)];
        let flags = Flags::default();
        assert_eq!(flags.is_on("shop", "fast"), None);
        flags.replace(&declared, &BTreeMap::new());
        assert_eq!(flags.is_on("shop", "fast"), Some(false));
        assert_eq!(flags.is_on("lms", "new_checkout"), Some(true));
        assert_eq!(flags.is_on("lms", "fast"), None, "it is another plugin's");
        let set = BTreeMap::from([("shop.fast".to_owned(), true), ("gone.x".to_owned(), true)]);
        flags.replace(&declared, &set);
        assert_eq!(flags.is_on("shop", "fast"), Some(true));
        let ids: Vec<_> = flags.list().into_iter().map(|it| (it.id, it.set)).collect();
        let expected = [("lms.new_checkout", None), ("shop.fast", Some(true))];
        assert_eq!(ids, expected.map(|(id, set)| (id.to_owned(), set)));
    }

    #[test]
    fn a_look_takes_less_than_a_microsecond() {
        let flags = Flags::default();
        let declared: Vec<_> = (0..1_000)
            .map(|n| BoundFlag {
                id: format!("p{}.flag_{n}", n % 50),
                plugin: "p".to_owned(),
                doc: String::new(),
                default: n % 2 == 0,
            })
            .collect();
        flags.replace(&declared, &BTreeMap::new());
        let began = std::time::Instant::now();
        for _ in 0..100_000 {
            assert_eq!(flags.is_on("p7", "flag_807"), Some(false));
        }
        // The goal is 1 µs; a debug build on a busy machine has ten times that.
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    }
}
