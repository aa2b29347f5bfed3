//! Layers of values over each other, each value knowing where it came from.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::error::ConfigError;
use crate::value::plain_dates;
use crate::{env, reference};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The built-in defaults.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Env(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// What to read. Tests hand in an environment of their own.
#[derive(Clone, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    env: Vec<(String, String)>,
}

impl Sources {
    /// Reads `file` if given, and the variables of `env` that begin with `COORDINATOR__`; the
    /// others are there for secrets (`env:NAME`).
    #[must_use]
    pub fn new(file: Option<PathBuf>, env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            file,
            env: env.into_iter().collect(),
        }
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
        if let Some(path) = &sources.file {
            match read_file(path) {
                Ok(values) => {
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
        }
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
            _ => Source::Default,
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

fn merged(figment: &Figment) -> Dict {
    let root = figment.find_value("").ok().and_then(Value::into_dict);
    root.expect("layers are tables, and merging them cannot fail")
}

fn read_file(path: &Path) -> Result<Dict, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("not readable: {error}"))?;
    let parsed: Result<Dict, _> = Toml::from_str(&text);
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
