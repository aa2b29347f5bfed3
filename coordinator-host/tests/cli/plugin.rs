//! `plugin inspect`, `lock` and `new`, which need no host.

use crate::run::folder;

#[test]
fn a_file_that_is_no_plugin_is_refused_in_three_lines_with_70() {
    let folder = folder()
        .with("text.so", "not a library")
        .with("empty.so", "");
    for file in ["text.so", "empty.so", "missing.so", "."] {
        let ended = folder.run(&["plugin", "inspect", file]).exits(70);
        assert!(ended.out.is_empty(), "{ended:#?}");
        let lines: Vec<&str> = ended.err.lines().collect();
        assert_eq!(lines.len(), 3, "{ended:#?}");
        assert!(
            lines[0].starts_with("error: failed to load") && lines[0].contains(file),
            "{ended:#?}"
        );
        assert!(
            lines[2].starts_with("  (") && lines[2].ends_with(')'),
            "{ended:#?}"
        );
    }
}

#[test]
fn nothing_is_locked_if_one_file_is_no_plugin() {
    let folder = folder().with("text.so", "not a library");
    folder.run(&["plugin", "lock", "text.so"]).exits(70);
    assert!(!folder.path().join("plugins.lock").exists());
}

#[test]
fn a_new_plugin_has_its_files_and_stands_alone() {
    for template in ["handler", "route", "pipeline"] {
        let folder = folder();
        let ended = folder
            .run(&["plugin", "new", "lms-notify", "--template", template])
            .exits(0);
        assert!(ended.out.contains("cd lms-notify"), "{ended:#?}");
        let read = |name: &str| {
            std::fs::read_to_string(folder.path().join("lms-notify").join(name))
                .expect("it was made")
        };
        let manifest = read("Cargo.toml");
        for line in [
            "name = \"lms-notify\"",
            "name = \"lms_notify\"",
            "panic = \"unwind\"",
            "[workspace]",
        ] {
            assert!(manifest.contains(line), "{line}");
        }
        assert!(read("src/lib.rs").contains("impl LmsNotify"));
        assert!(read("README.md").contains("liblms_notify.so"));
        for name in [
            "Cargo.toml",
            "README.md",
            ".gitignore",
            "src/lib.rs",
            "src/tests.rs",
        ] {
            assert!(
                !read(name).contains("{{"),
                "a placeholder is left in {name}"
            );
        }
    }
}

#[test]
fn a_new_plugin_takes_the_sdk_of_a_checkout() {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk");
    let folder = folder();
    folder.run(&["plugin", "new", "lms", "--sdk", sdk]).exits(0);
    let manifest =
        std::fs::read_to_string(folder.path().join("lms/Cargo.toml")).expect("it was made");
    assert!(
        manifest.contains("coordinator-sdk = { path = \"/"),
        "{manifest}"
    );

    let wrong = folder
        .run(&["plugin", "new", "other", "--sdk", "lms"])
        .exits(64);
    assert!(
        wrong.err.contains("is not the folder of coordinator-sdk"),
        "{wrong:#?}"
    );
    assert!(!folder.path().join("other").exists());
}

#[test]
fn a_new_plugin_overwrites_nothing_and_wants_a_good_name() {
    let folder = folder().with("lms", "mine");
    let exists = folder.run(&["plugin", "new", "lms"]).exits(64);
    assert!(exists.err.contains("`lms` exists already"), "{exists:#?}");
    for name in ["Lms", "lms_notify", "../lms", "9lms", "fn", "context"] {
        let bad = folder.run(&["plugin", "new", name]).exits(64);
        assert!(bad.err.contains(name), "{bad:#?}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("it is there")
            .count(),
        1
    );
}
