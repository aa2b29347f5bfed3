//! The workspace, as cargo sees it.

use std::path::PathBuf;
use std::sync::OnceLock;

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package};

/// Everything that is built here, with what it depends on. Asks no registry: whoever runs this test has built it.
pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let here = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let options = ["--offline", "--filter-platform", here.as_str()];
        MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .other_options(options.map(str::to_owned))
            .exec()
            .unwrap()
    })
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// The packages of this workspace.
pub(crate) fn ours() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// What a package is built from; what only its tests use is its own affair.
pub(crate) fn built_from(package: &Package) -> impl Iterator<Item = &Dependency> {
    let dependencies = package.dependencies.iter();
    dependencies.filter(|dependency| dependency.kind != DependencyKind::Development)
}

/// `coordinator-journal` is the room `journal`.
pub(crate) fn room(package: &str) -> &str {
    package.strip_prefix("coordinator-").unwrap_or(package)
}
