//! The documentation of every setting, read from the comments of the embedded files.

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use crate::key::Key;

/// Sections with their defaults.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// Tables that the operator names, with the defaults of each.
pub(crate) const INSTANCES: &str = include_str!("instances.toml");

/// A setting as the operator reads about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documented {
    /// Where it stands; `NAME` and `INSTANCE.HANDLER` are the operator's to choose.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// Its default as TOML; absent if it has none.
    pub default: Option<String>,
    /// An example as TOML, where there is no default.
    pub example: Option<String>,
}

/// All settings, in the order of the sections.
#[must_use]
pub fn reference() -> Vec<Documented> {
    [DEFAULTS, INSTANCES]
        .into_iter()
        .flat_map(documented)
        .collect()
}

/// The embedded files use one line per setting, so that this need not be a TOML parser:
/// `# words`, `[table]`, `key = default`, `#key = example`.
fn documented(text: &str) -> Vec<Documented> {
    let mut settings = Vec::new();
    let mut table = Key::default();
    let mut doc: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            doc.push(words);
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            table = Key::parse(name);
        } else if let Some((name, value)) = line.split_once(" = ") {
            let (name, is_example) = name
                .strip_prefix('#')
                .map_or((name, false), |name| (name, true));
            let value = Some(value.to_owned());
            let (default, example) = if is_example {
                (None, value)
            } else {
                (value, None)
            };
            let key = table.child(name.trim_matches('"')).to_string();
            settings.push(Documented {
                key,
                doc: doc.join(" "),
                default,
                example,
            });
        }
        doc.clear();
    }
    settings
}

/// The defaults of the tables that `root` names.
pub(crate) fn instance_defaults(root: &Dict) -> Dict {
    let template: Dict = Toml::from_str(INSTANCES).expect("instances.toml is TOML");
    let mut named = Dict::new();
    for (path, placeholder) in [
        (&["plugins"][..], "NAME"),
        (&["api", "keys"][..], "NAME"),
        (&["wiring", "handlers"][..], "INSTANCE.HANDLER"),
        (&["wiring", "schedules"][..], "NAME"),
        (&["wiring", "pipelines"][..], "TYPE.V1"),
    ] {
        let Some(instance) = table(&template, path).and_then(|tables| tables.get(placeholder))
        else {
            continue;
        };
        let Some(existing) = table(root, path) else {
            continue;
        };
        // A name with a value that is no table is a mistake, reported where it is read.
        let tables = existing
            .iter()
            .filter(|(_, value)| matches!(value, Value::Dict(..)));
        let defaults: Dict = tables
            .map(|(name, _)| (name.clone(), instance.clone()))
            .collect();
        put(&mut named, path, defaults);
    }
    named
}

/// Puts `tables` at `path`, beside what is there already.
fn put(at: &mut Dict, path: &[&str], tables: Dict) {
    let Some((first, rest)) = path.split_first() else {
        at.extend(tables);
        return;
    };
    let mut inner = match at.remove(*first) {
        Some(Value::Dict(_, inner)) => inner,
        _ => Dict::new(),
    };
    put(&mut inner, rest, tables);
    at.insert((*first).to_owned(), Value::from(inner));
}

fn table<'a>(root: &'a Dict, path: &[&str]) -> Option<&'a Dict> {
    path.iter()
        .try_fold(root, |table, part| match table.get(*part)? {
            Value::Dict(_, inner) => Some(inner),
            _ => None,
        })
}
