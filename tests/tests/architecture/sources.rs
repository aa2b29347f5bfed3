//! How the sources look: small files with a head, no `unsafe` but where it lives, no test that is skipped.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metadata::{ours, room, root};

/// Lines of the longest file.
const LONGEST: usize = 400;
/// The boundary, and what brings a file across it.
const MAY_BE_UNSAFE: [&str; 2] = ["abi", "loader"];

#[test]
fn no_source_is_longer_than_400_lines() {
    for file in sources("rs") {
        let lines = read(&file).lines().count();
        assert!(lines <= LONGEST, "`{}` has {lines} lines", file.display());
    }
}

#[test]
fn every_source_begins_by_saying_what_it_is() {
    // `ui/` holds the mistakes of authors, one a file.
    for file in sources("rs").filter(|file| !file.components().any(|c| c.as_os_str() == "ui")) {
        let text = read(&file);
        let told = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
        assert!(told, "`{}` does not begin with `//!`", file.display());
    }
}

#[test]
fn no_source_may_be_unsafe_but_those_of_the_boundary() {
    for package in ours() {
        let shipped = package.targets.iter().filter(|target| {
            let aside = target.is_test() || target.is_bench() || target.is_example();
            !aside && !target.is_custom_build()
        });
        for target in shipped {
            let text = read(target.src_path.as_std_path());
            let (forbids, name) = (
                text.contains("#![forbid(unsafe_code)]"),
                room(&package.name),
            );
            assert_eq!(
                forbids,
                !MAY_BE_UNSAFE.contains(&name),
                "`{}` forbids unsafe code: {forbids}",
                target.src_path
            );
        }
    }
}

#[test]
fn no_folder_has_a_mod_rs_and_none_is_named_after_nothing() {
    for file in sources("rs") {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let nothing = [
            "mod", "util", "utils", "common", "helper", "helpers", "manager", "core",
        ];
        assert!(
            !nothing.contains(&name),
            "`{}` says nothing of what it holds",
            file.display()
        );
    }
}

#[test]
fn no_test_is_skipped() {
    // In parts, so that this file does not find itself.
    let skipped = [
        ["#[", "ignore"].concat(),
        ["```", "ignore"].concat(),
        ["```rust,", "ignore"].concat(),
    ];
    for file in sources("rs").chain(sources("md")) {
        let text = read(&file);
        for mark in &skipped {
            assert!(!text.contains(mark), "`{}` has `{mark}`", file.display());
        }
    }
}

/// Every file of this repository with this extension.
fn sources(extension: &str) -> impl Iterator<Item = PathBuf> {
    let (mut folders, mut files) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let left_out = name.starts_with('.') || name == "target";
            if path.is_dir() && !left_out {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty());
    files.into_iter()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
