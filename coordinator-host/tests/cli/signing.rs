//! `plugin keygen`, `sign` and `verify`, and the `minisign` program of Debian: each can use what the other made.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Ended, Folder, end, folder};

/// A folder with the greeter in it, as `hello.so`.
fn with_plugin() -> Folder {
    let folder = folder();
    let built = Path::new(env!("CARGO_BIN_EXE_coordinator")).with_file_name("libhello.so");
    std::fs::copy(built, folder.path().join("hello.so"))
        .expect("the examples are built: run `cargo xtask test`");
    folder
}

/// The same, with a key that has no password.
fn with_key() -> Folder {
    let folder = with_plugin();
    folder.run(&["plugin", "keygen", "--no-password"]).exits(0);
    folder
}

fn sign(folder: &Folder) -> Ended {
    folder
        .run(&["plugin", "sign", "hello.so", "--key", "plugin-signing.key"])
        .exits(0)
}

fn verify(folder: &Folder) -> Ended {
    folder.run(&[
        "plugin",
        "verify",
        "hello.so",
        "--key",
        "plugin-signing.pub",
    ])
}

/// `minisign` in the folder; it must succeed.
fn minisign(folder: &Folder, arguments: &[&str], input: &str) -> Ended {
    let mut command = Command::new("minisign");
    end(command.args(arguments).current_dir(folder.path()), input).exits(0)
}

fn append_to(path: PathBuf, bytes: &[u8]) {
    let mut whole = std::fs::read(&path).expect("it is there");
    whole.extend_from_slice(bytes);
    std::fs::write(path, whole).expect("the folder is writable");
}

#[test]
fn a_key_is_made_for_its_owner_only_and_never_overwritten() {
    let folder = folder();
    let made = folder
        .run(&[
            "plugin",
            "keygen",
            "--no-password",
            "--out",
            "keys",
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    let secret = folder.path().join("keys/plugin-signing.key");
    let mode = std::fs::metadata(&secret)
        .expect("it was made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = made["key"].as_str().expect("the public key");
    assert!(key.starts_with("RW") && key.len() == 56, "{made}");
    let public = std::fs::read_to_string(folder.path().join("keys/plugin-signing.pub"));
    assert!(public.expect("it was made").lines().any(|line| line == key));

    let again = ["plugin", "keygen", "--no-password", "--out", "keys"];
    let before = std::fs::read(&secret).expect("it is there");
    let refused = folder.run(&again).exits(64);
    assert!(refused.err.contains("exists already"), "{refused:#?}");
    assert_eq!(std::fs::read(&secret).expect("it is there"), before);
    std::fs::remove_file(&secret).expect("it is there");
    folder.run(&again).exits(64);
    assert!(!secret.exists(), "half a pair is left as it is");
}

#[test]
fn a_key_without_a_password_is_made_on_purpose_only() {
    let folder = folder().with("empty", "\n");
    let asked = folder.run(&["plugin", "keygen"]).exits(64);
    assert!(asked.err.contains("--no-password"), "{asked:#?}");
    for file in ["empty", "missing"] {
        folder
            .run(&["plugin", "keygen", "--password-file", file])
            .exits(64);
    }
    assert!(!folder.path().join("plugin-signing.key").exists());
}

#[test]
fn what_was_signed_is_verified_check_by_check() {
    let folder = with_key();
    let signed = folder
        .run(&[
            "plugin",
            "sign",
            "hello.so",
            "--key",
            "plugin-signing.key",
            "--comment",
            "for the shop",
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(signed["plugin"], "coordinator-hello");
    let verified = folder
        .run(&[
            "plugin",
            "verify",
            "hello.so",
            "--key",
            "plugin-signing.pub",
            "--output",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(
        (&verified["verdict"], &verified["policy"]),
        (&"accepted".into(), &"signed".into())
    );
    assert_eq!(verified["sha256"], signed["sha256"]);
    let checks = verified["checks"].as_array().expect("a list");
    let names: Vec<_> = checks
        .iter()
        .filter_map(|check| check["check"].as_str())
        .collect();
    assert_eq!(
        names,
        ["library", "trust", "section", "abi", "panics", "signature"]
    );
    let comment = verified["signature"]["comment"]
        .as_str()
        .expect("it is signed too");
    assert!(comment.ends_with("\tfor the shop"), "{comment}");
    let shown = verify(&folder).exits(0);
    assert!(shown.out.contains("the host would load it"), "{shown:#?}");
}

#[test]
fn what_the_host_would_refuse_is_said_with_70() {
    let folder = with_key();
    let unsigned = verify(&folder).exits(70);
    assert!(unsigned.out.contains("is not signed"), "{unsigned:#?}");
    sign(&folder);
    verify(&folder).exits(0);
    let older = folder
        .run(&[
            "plugin",
            "verify",
            "hello.so",
            "--key",
            "plugin-signing.pub",
            "--floor",
            "9.0.0",
        ])
        .exits(70);
    assert!(
        older.out.contains("9.0.0 has run here before"),
        "{older:#?}"
    );
    append_to(folder.path().join("hello.so"), b"!");
    let changed = verify(&folder).exits(70);
    assert!(
        changed.out.contains("changed after it was signed"),
        "{changed:#?}"
    );
    assert!(
        changed.out.contains("the host would refuse it"),
        "{changed:#?}"
    );
    let missing = folder
        .run(&["plugin", "verify", "missing.so", "--policy", "any"])
        .exits(70);
    assert_eq!(missing.err.lines().count(), 3, "{missing:#?}");
}

#[test]
fn the_policy_is_that_of_the_configuration_unless_it_is_said() {
    let folder = with_key();
    sign(&folder);
    let locked = folder.run(&["plugin", "verify", "hello.so"]).exits(70);
    assert!(locked.err.contains("plugin lock"), "{locked:#?}");
    folder
        .run(&["plugin", "verify", "hello.so", "--policy", "any"])
        .exits(0);
    folder.run(&["plugin", "lock", "hello.so"]).exits(0);
    folder.run(&["plugin", "verify", "hello.so"]).exits(0);
    let no_key = folder
        .run(&["plugin", "verify", "hello.so", "--policy", "signed"])
        .exits(64);
    assert!(no_key.err.contains("there is no key"), "{no_key:#?}");
    for wrong in [
        &["--policy", "any", "--key", "plugin-signing.pub"][..],
        &["--key", "RW"],
        &["--key", "hello.so"],
        &["--floor", "one"],
    ] {
        folder
            .run(&[&["plugin", "verify", "hello.so"], wrong].concat())
            .exits(64);
    }

    let public = std::fs::read_to_string(folder.path().join("plugin-signing.pub"));
    let public = public.expect("it was made");
    let key = public.lines().nth(1).expect("the key");
    let configured = |terms: &str| {
        let toml = format!(
            "[trust]\npolicy = \"signed\"\nkeys = [{{ key = \"{key}\", name = \"acme\"{terms} }}]"
        );
        std::fs::write(folder.path().join("coordinator.toml"), toml)
            .expect("the folder is writable");
        folder.run(&["plugin", "verify", "hello.so"])
    };
    let good = configured(", expires = 2999-01-01T00:00:00Z").exits(0);
    assert!(good.out.contains("`acme`"), "{good:#?}");
    let expired = configured(", expires = \"2020-01-01T00:00:00Z\"").exits(70);
    assert!(
        expired.out.contains("expired at 2020-01-01T00:00:00Z"),
        "{expired:#?}"
    );
    let revoked = configured(", revoked = true").exits(70);
    assert!(revoked.out.contains("is revoked"), "{revoked:#?}");
    configured(", expires = \"soon\"").exits(78);
    configured(", until = 1").exits(78);
}

#[test]
fn what_is_no_plugin_is_not_signed_and_what_is_no_key_does_not_sign() {
    let folder = with_key()
        .with("text.so", "no plugin")
        .with("no.key", "untrusted comment: x\nRWQf6LRCGA9i53m=\n");
    let by = |file: &str, key: &str| folder.run(&["plugin", "sign", file, "--key", key]);
    by("text.so", "plugin-signing.key").exits(70);
    by("missing.so", "plugin-signing.key").exits(70);
    for key in ["no.key", "plugin-signing.pub", "hello.so"] {
        let refused = by("hello.so", key);
        assert!(matches!(refused.code, 1 | 64), "{refused:#?}");
    }
    by("hello.so", "missing.key").exits(1);
    let newline = [
        "plugin",
        "sign",
        "hello.so",
        "--key",
        "plugin-signing.key",
        "--comment",
        "a\nb",
    ];
    folder.run(&newline).exits(64);
    assert!(!folder.path().join("hello.so.minisig").exists());
}

#[test]
fn minisign_verifies_what_a_key_with_a_password_has_signed() {
    let folder = with_plugin()
        .with("password", "correct horse\n")
        .with("wrong", "battery\n");
    folder
        .run(&["plugin", "keygen", "--password-file", "password"])
        .exits(0);
    let sign = ["plugin", "sign", "hello.so", "--key", "plugin-signing.key"];
    let asked = folder.run(&sign).exits(64);
    assert!(asked.err.contains("--password-file"), "{asked:#?}");
    let wrong = folder
        .run(&[&sign[..], &["--password-file", "wrong"]].concat())
        .exits(64);
    assert!(wrong.err.contains("does not open"), "{wrong:#?}");
    folder
        .run(&[&sign[..], &["--password-file", "password"]].concat())
        .exits(0);
    minisign(
        &folder,
        &["-V", "-H", "-p", "plugin-signing.pub", "-m", "hello.so"],
        "",
    );
    // And the same key in its hands.
    let theirs = ["-S", "-s", "plugin-signing.key", "-m", "hello.so"];
    minisign(&folder, &theirs, "correct horse\n");
    verify(&folder).exits(0);
}

#[test]
fn a_key_that_minisign_made_signs_and_verifies_here() {
    let folder = with_plugin();
    minisign(&folder, &["-G", "-W", "-p", "m.pub", "-s", "m.key"], "");
    let verify = ["plugin", "verify", "hello.so", "--key", "m.pub"];
    minisign(&folder, &["-S", "-W", "-s", "m.key", "-m", "hello.so"], "");
    let theirs = folder.run(&verify).exits(0);
    assert!(theirs.out.contains("made by another tool"), "{theirs:#?}");
    folder
        .run(&["plugin", "sign", "hello.so", "--key", "m.key"])
        .exits(0);
    folder.run(&verify).exits(0);
    minisign(&folder, &["-V", "-p", "m.pub", "-m", "hello.so"], "");
}

/// minisign asks for a gibibyte of memory to open a key of its own with a password.
#[test]
fn a_key_that_minisign_made_with_a_password_opens_here() {
    let folder = with_plugin().with("password", "tr0ub4dor\n");
    minisign(
        &folder,
        &["-G", "-p", "m.pub", "-s", "m.key"],
        "tr0ub4dor\ntr0ub4dor\n",
    );
    folder
        .run(&[
            "plugin",
            "sign",
            "hello.so",
            "--key",
            "m.key",
            "--password-file",
            "password",
        ])
        .exits(0);
    minisign(&folder, &["-V", "-p", "m.pub", "-m", "hello.so"], "");
}
