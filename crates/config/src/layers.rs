//! Layers of values over each other, each value knowing where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};

use serde_json::Value as Json;

use crate::error::ConfigError;
use crate::key::Key;
use crate::value::plain_dates;
use crate::{env, reference};

/// How figment names the layer of what operators changed live.
const OVERRIDE: &str = "override";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The built-in defaults.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Env(String),
    /// What an operator changed on the running host, kept in the database.
    Override,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Override => f.write_str("override"),
        }
    }
}

/// What to read. Tests hand in an environment of their own.
#[derive(Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    env: Vec<(String, String)>,
    overrides: BTreeMap<String, Json>,
    /// The file as it was read before, if it is not to be read again.
    text: Option<String>,
}

impl Sources {
    /// Reads `file` if given, and the variables of `env` that begin with `COORDINATOR__`; the
    /// others are there for secrets (`env:NAME`).
    #[must_use]
    pub fn new(file: Option<PathBuf>, env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            file,
            env: env.into_iter().collect(),
            overrides: BTreeMap::new(),
            text: None,
        }
    }

    /// The same, with the file as it says now, or as it said when it was read into `text`.
    pub(crate) fn with_text(mut self, text: Option<String>) -> Self {
        self.text = text;
        self
    }

    /// The same, with these values over them, by their keys: `wiring.handlers."lms.enrol".timeout`.
    #[must_use]
    pub fn with_overrides(mut self, overrides: BTreeMap<String, Json>) -> Self {
        self.overrides = overrides;
        self
    }

    /// The process environment, and `file` or else `coordinator.toml` if it is in this folder.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let usual = Path::new("coordinator.toml");
        let file = file.or_else(|| usual.exists().then(|| usual.to_owned()));
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::new(file, env)
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }
}

/// One layer as figment wants it.
struct Layer {
    source: Source,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.source {
            Source::Default => Metadata::named("default"),
            Source::File(path) => Metadata::from("file", path.as_path()),
            Source::Env(name) => Metadata::from("env", name.clone()),
            Source::Override => Metadata::named(OVERRIDE),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// All layers, merged.
pub(crate) struct Layers {
    figment: Figment,
    root: Dict,
    defaults: Dict,
    /// Stands for the operator where a value is missing altogether.
    operator: Source,
    text: Option<String>,
}

/// On top of everything else: what operators changed while a host ran.
fn with_overrides(
    mut figment: Figment,
    sources: &Sources,
    errors: &mut Vec<ConfigError>,
) -> Figment {
    for (key, value) in &sources.overrides {
        match nested(key, value) {
            Some(values) => {
                figment = figment.merge(Layer {
                    source: Source::Override,
                    values,
                });
            }
            None => errors.push(ConfigError {
                key: key.clone(),
                ..ConfigError::whole(Source::Override, "is no key of a setting".to_owned())
            }),
        }
    }
    figment
}

impl Layers {
    /// Reads and merges the layers; mistakes are added to `errors` and their layer is left out.
    pub(crate) fn read(sources: &Sources, errors: &mut Vec<ConfigError>) -> Self {
        let defaults: Dict = Toml::from_str(reference::DEFAULTS).expect("default.toml is TOML");
        let mut figment = Figment::new().merge(Layer {
            source: Source::Default,
            values: defaults.clone(),
        });
        let operator = sources.file.clone().map_or(Source::Default, Source::File);
        let mut text_of_file = None;
        if let Some(path) = &sources.file {
            let text = sources.text.clone();
            let text = text.map_or_else(|| read_file(path), Ok);
            match text.and_then(|text| Ok((parse_file(&text)?, text))) {
                Ok((values, said)) => {
                    text_of_file = Some(said);
                    figment = figment.merge(Layer {
                        source: operator.clone(),
                        values,
                    })
                }
                Err(problem) => errors.push(ConfigError::whole(operator.clone(), problem)),
            }
        }
        for (name, value) in sources.env() {
            match env::nested(name, value) {
                None => {}
                Some(Ok(values)) => {
                    figment = figment.merge(Layer {
                        source: Source::Env(name.clone()),
                        values,
                    });
                }
                Some(Err(problem)) => {
                    errors.push(ConfigError::whole(Source::Env(name.clone()), problem));
                }
            }
        }
        figment = with_overrides(figment, sources, errors);
        // The operator's own tables get their defaults once their names are known.
        let named = reference::instance_defaults(&merged(&figment));
        figment = figment.join(Layer {
            source: Source::Default,
            values: named,
        });
        Self {
            root: merged(&figment),
            figment,
            defaults,
            operator,
            text: text_of_file,
        }
    }

    /// What the file said.
    pub(crate) fn text(&self) -> Option<&String> {
        self.text.as_ref()
    }

    pub(crate) fn root(&self) -> &Dict {
        &self.root
    }

    pub(crate) fn defaults(&self) -> &Dict {
        &self.defaults
    }

    pub(crate) fn operator(&self) -> &Source {
        &self.operator
    }

    pub(crate) fn source(&self, tag: Tag) -> Source {
        let Some(metadata) = self.figment.get_metadata(tag) else {
            return Source::Default;
        };
        match &metadata.source {
            Some(figment::Source::File(path)) => Source::File(path.clone()),
            Some(figment::Source::Custom(name)) => Source::Env(name.clone()),
            _ if metadata.name == OVERRIDE => Source::Override,
            _ => Source::Default,
        }
    }

    /// Adds where the leaves of a value came from, each layer once.
    pub(crate) fn add_sources(&self, value: &Value, sources: &mut Vec<Source>) {
        if let Value::Dict(_, table) = value {
            table
                .values()
                .for_each(|value| self.add_sources(value, sources));
            return;
        }
        let source = self.source(value.tag());
        if source != Source::Default && !sources.contains(&source) {
            sources.push(source);
        }
    }

    /// The value at a path of names.
    pub(crate) fn find(&self, parts: &[String]) -> Option<&Value> {
        let (first, rest) = parts.split_first()?;
        rest.iter()
            .try_fold(self.root.get(first)?, |value, part| match value {
                Value::Dict(_, table) => table.get(part),
                _ => None,
            })
    }
}

/// The table that one override stands for. `None` if its key has an empty part.
fn nested(key: &str, value: &Json) -> Option<Dict> {
    let key = Key::parse(key);
    if key.parts().iter().any(String::is_empty) {
        return None;
    }
    let leaf = Value::serialize(value).ok()?;
    let nested = key.parts().iter().rev().fold(leaf, |inner, part| {
        Value::from(Dict::from([(part.clone(), inner)]))
    });
    nested.into_dict()
}

fn merged(figment: &Figment) -> Dict {
    let root = figment.find_value("").ok().and_then(Value::into_dict);
    root.expect("layers are tables, and merging them cannot fail")
}

fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("not readable: {error}"))
}

fn parse_file(text: &str) -> Result<Dict, String> {
    let parsed: Result<Dict, _> = Toml::from_str(text);
    parsed.map(plain_dates).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start].matches('\n').count());
        let place = line.map_or(String::new(), |line| format!("line {line}: "));
        // The message may end in an excerpt of the file.
        let reason = error.message().lines().next().unwrap_or_default();
        format!("{place}not TOML: {reason}")
    })
}
