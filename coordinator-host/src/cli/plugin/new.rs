//! `coordinator plugin new NAME`: a folder of its own that builds, tests, and is locked like any other plugin.

mod name;

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::exit::{Failure, OK, PROBLEMS, USAGE};
use crate::cli::output;
use name::PluginName;

/// Begins a plugin.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name, and that of its folder: lower-case letters, digits and dashes.
    name: String,
    /// The folder `plugin-sdk` of a checkout, instead of a released SDK.
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
    /// What it begins with.
    #[arg(long, value_enum, default_value_t = Template::Handler)]
    template: Template,
}

/// What a new plugin begins with.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    /// Acts on messages.
    Handler,
    /// Answers HTTP requests and publishes messages.
    Route,
    /// Does a step of a pipeline, which answers at once.
    Pipeline,
}

/// A new plugin was not begun.
#[derive(Debug, thiserror::Error)]
enum NewError {
    /// The folder is there already.
    #[error("`{0}` exists already\n  (choose another name, or another folder to begin in)")]
    Exists(PathBuf),
    /// `--sdk` is not the SDK.
    #[error(
        "`{0}` is not the folder of coordinator-sdk\n  (give the folder `plugin-sdk` of a checkout of Coordinator)"
    )]
    NotTheSdk(PathBuf),
    /// Not writable.
    #[error("failed to write `{path}`")]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<NewError> for Failure {
    fn from(error: NewError) -> Self {
        let code = match error {
            NewError::Exists(_) | NewError::NotTheSdk(_) => USAGE,
            NewError::Write { .. } => PROBLEMS,
        };
        Self::new(code, error)
    }
}

const CARGO_TOML: &str = include_str!("../template/cargo.toml.tmpl");
const README: &str = include_str!("../template/readme.md.tmpl");
const GITIGNORE: &str = include_str!("../template/gitignore.tmpl");

impl Template {
    /// `src/lib.rs`, `src/tests.rs`, and the README's lines on trying it.
    const fn files(self) -> [&'static str; 3] {
        match self {
            Self::Handler => [
                include_str!("../template/handler.rs.tmpl"),
                include_str!("../template/handler_tests.rs.tmpl"),
                include_str!("../template/handler_try.md.tmpl"),
            ],
            Self::Route => [
                include_str!("../template/route.rs.tmpl"),
                include_str!("../template/route_tests.rs.tmpl"),
                include_str!("../template/route_try.md.tmpl"),
            ],
            Self::Pipeline => [
                include_str!("../template/pipeline.rs.tmpl"),
                include_str!("../template/pipeline_tests.rs.tmpl"),
                include_str!("../template/pipeline_try.md.tmpl"),
            ],
        }
    }
}

impl New {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let name = PluginName::try_new(&self.name).map_err(|error| Failure::new(USAGE, error))?;
        let sdk = self.sdk_dependency()?;
        let folder = Path::new(name.as_str());
        if folder.symlink_metadata().is_ok() {
            return Err(NewError::Exists(folder.to_owned()).into());
        }
        let [lib, tests, try_it] = self.template.files();
        let fill = |template: &str| {
            template
                .replace("{{try}}", try_it)
                .replace("{{name}}", name.as_str())
                .replace("{{library}}", &name.library())
                .replace("{{type}}", &name.type_name())
                .replace("{{sdk}}", &sdk)
        };
        for (path, template) in [
            ("Cargo.toml", CARGO_TOML),
            ("README.md", README),
            (".gitignore", GITIGNORE),
            ("src/lib.rs", lib),
            ("src/tests.rs", tests),
        ] {
            write(&folder.join(path), &fill(template))?;
        }
        output::line(&next_steps(&name))?;
        Ok(OK)
    }

    /// What stands after `coordinator-sdk = ` in the manifest.
    fn sdk_dependency(&self) -> Result<String, NewError> {
        let Some(path) = &self.sdk else {
            return Ok(format!("\"{}\"", env!("CARGO_PKG_VERSION")));
        };
        let not_the_sdk = || NewError::NotTheSdk(path.clone());
        let manifest =
            std::fs::read_to_string(path.join("Cargo.toml")).map_err(|_| not_the_sdk())?;
        if !manifest.contains("name = \"coordinator-sdk\"") {
            return Err(not_the_sdk());
        }
        let path = path.canonicalize().map_err(|_| not_the_sdk())?;
        let path = path.to_str().ok_or_else(not_the_sdk)?;
        // Texts are written alike in JSON and TOML.
        Ok(format!("{{ path = {} }}", serde_json::Value::from(path)))
    }
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let failed = |source| NewError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

fn next_steps(name: &PluginName) -> String {
    let library = name.library();
    format!(
        "made `{name}/`; next:\n  \
         cd {name}\n  \
         cargo test\n  \
         cargo build --release\n  \
         coordinator plugin inspect target/release/lib{library}.so\n  \
         coordinator dev .\n\
         then name the file in `coordinator.toml`, as `{name}/README.md` shows"
    )
}
