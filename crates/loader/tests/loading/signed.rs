//! `trust.policy = "signed"`: only what a trusted key has signed, and never what is older than what has run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use coordinator_loader::LoadErrorKind::Untrusted;
use coordinator_loader::{LoadRequest, Loader, Shelf, Trust, Version};

use proptest::prelude::{ProptestConfig, prop_assert_eq};
use proptest::test_runner::TestRunner;

use crate::plugin_file::{self, Changed};
use crate::refused::{assert_readable, refused_by};
use crate::signer::{Signer, beside, minisign, trusting};

const DAY: Duration = Duration::from_secs(86_400);

/// Refused, and told on one line with these words.
#[track_caller]
fn told(loader: &Loader, plugin: &Changed, words: &str) {
    let error = refused_by(loader, &plugin.path(), Untrusted);
    assert!(error.reason().contains(words), "{error}");
    assert_eq!(error.to_string().lines().count(), 3, "{error}");
}

#[test]
fn what_a_trusted_key_has_signed_is_loaded() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let loader = trusting([signer.key()]);
    let loaded = loader.load(&plugin.path()).unwrap();
    assert_eq!(loaded.manifest().name, "coordinator-hello");
    let signed = loader.preflight(&plugin.path()).unwrap();
    let signed = signed.signed().unwrap();
    assert_eq!(signed.name.as_deref(), Some("acme"));
    assert!(signed.key.contains(&signer.made.id), "{signed:?}");
    let claims = format!(
        "plugin:coordinator-hello\tversion:{}\tsha256:{}",
        env!("CARGO_PKG_VERSION"),
        loaded.sha256()
    );
    assert!(signed.comment.ends_with(&claims), "{}", signed.comment);
}

#[test]
fn what_is_not_signed_is_refused() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    let loader = trusting([signer.key()]);
    told(&loader, &plugin, "is not signed: there is no");
    signer.sign(&plugin.path());
    std::fs::remove_file(beside(&plugin.path())).unwrap();
    told(&loader, &plugin, "is not signed: there is no");
}

#[test]
fn one_byte_that_was_changed_after_signing_is_found() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let plugin = plugin.last_byte_changed();
    told(
        &trusting([signer.key()]),
        &plugin,
        "the file was changed after it was signed",
    );
}

#[test]
fn the_signature_of_another_file_is_refused() {
    let (plugin, other, signer) = (Changed::hello(), Changed::hello(), Signer::new());
    let other = other.last_byte_changed();
    signer.sign(&other.path());
    std::fs::copy(beside(&other.path()), beside(&plugin.path())).unwrap();
    told(&trusting([signer.key()]), &plugin, "another file's");
}

#[test]
fn a_trusted_comment_that_was_edited_is_found() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let at = beside(&plugin.path());
    let text = std::fs::read_to_string(&at).unwrap();
    let version = format!("version:{}", env!("CARGO_PKG_VERSION"));
    std::fs::write(&at, text.replace(&version, "version:9.9.9")).unwrap();
    told(&trusting([signer.key()]), &plugin, "is not for these bytes");
}

#[test]
fn a_key_that_is_not_trusted_counts_for_nothing() {
    let (plugin, signer, other) = (Changed::hello(), Signer::new(), Signer::new());
    signer.sign(&plugin.path());
    let words = format!("a key that is not trusted: {}", signer.made.id);
    told(&trusting([other.key()]), &plugin, &words);
    told(&trusting([]), &plugin, &words);
    trusting([other.key(), signer.key()])
        .load(&plugin.path())
        .map(drop)
        .unwrap();
}

#[test]
fn a_revoked_key_counts_for_nothing() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    told(&trusting([signer.key().revoked()]), &plugin, "`acme` (");
    told(
        &trusting([signer.key().revoked()]),
        &plugin,
        "which is revoked",
    );
}

#[test]
fn a_key_signs_until_it_expires() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let (past, future) = (SystemTime::now() - DAY, SystemTime::now() + DAY);
    let expired = trusting([signer.key().expires(past)]);
    told(&expired, &plugin, "which expired at 2");
    let valid = trusting([signer.key().expires(future)]);
    valid.load(&plugin.path()).map(drop).unwrap();
}

#[test]
fn a_key_that_is_revoked_while_the_host_runs_loads_nothing_more() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let loader = trusting([signer.key()]);
    loader.load(&plugin.path()).map(drop).unwrap();
    loader.set_trust(Trust::Signed(
        [signer.key().revoked()].into_iter().collect(),
    ));
    told(&loader, &plugin, "which is revoked");
}

#[test]
fn an_older_version_than_has_run_is_refused() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let loader = trusting([signer.key()]);
    let with_floor = |floor: &str| {
        let request = LoadRequest::new(plugin.path()).floor(Version::parse(floor).unwrap());
        loader.load(request)
    };
    let error = with_floor("9.0.0").err().unwrap();
    assert_readable(&error, &plugin.path());
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error.reason(),
        format!("it is version {version}, and 9.0.0 has run here before")
    );
    assert!(error.hint().contains("plugin rollback"), "{error}");
    // The same version is not older, nor is any above a pre-release of it.
    for floor in [
        version,
        &format!("{version}-rc.1"),
        &format!("{version}+build.7"),
        "0.0.1",
    ] {
        with_floor(floor).map(drop).unwrap();
    }
}

#[test]
fn hashes_that_are_locked_name_one_version_and_need_no_floor() {
    let plugin = Changed::hello();
    let request = LoadRequest::new(plugin.path()).floor(Version::new(9, 0, 0));
    Loader::new(Trust::Any).load(request).map(drop).unwrap();
}

#[test]
fn a_signature_for_another_plugin_or_version_is_refused() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    let loader = trusting([signer.key()]);
    for (comment, words) in [
        (
            "plugin:coordinator-lms",
            "made for plugin `coordinator-lms`",
        ),
        ("version:9.9.9", "made for version `9.9.9`"),
        ("sha256:00", "made for sha256 `00`"),
    ] {
        signer.sign_with_minisign(&plugin.path(), &["-t", comment]);
        told(&loader, &plugin, words);
    }
}

#[test]
fn a_signature_that_minisign_made_is_good_without_claims() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign_with_minisign(&plugin.path(), &[]);
    let loader = trusting([signer.key()]);
    let request = LoadRequest::new(plugin.path()).floor(Version::new(0, 0, 1));
    loader.load(request).map(drop).unwrap();
    // Its version is the file's own.
    let request = LoadRequest::new(plugin.path()).floor(Version::new(9, 0, 0));
    let error = loader.load(request).err().unwrap();
    assert!(
        error.reason().contains("9.0.0 has run here before"),
        "{error}"
    );
}

#[test]
fn a_signature_over_the_file_and_not_its_hash_is_refused() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign_with_minisign(&plugin.path(), &["-l"]);
    told(&trusting([signer.key()]), &plugin, "minisign's old kind");
}

#[test]
fn what_lies_where_a_signature_should_is_told_as_that() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    let loader = trusting([signer.key()]);
    signer.sign(&plugin.path());
    let at = beside(&plugin.path());
    let good = std::fs::read(&at).unwrap();
    let cut = &good[..good.len() / 2];
    let long = vec![b'a'; 1 << 20];
    for wrong in [&b""[..], b"signed", &[0xff; 300], cut, &long] {
        std::fs::write(&at, wrong).unwrap();
        told(&loader, &plugin, "is not one of minisign's");
    }
    std::fs::remove_file(&at).unwrap();
    std::fs::create_dir(&at).unwrap();
    told(&loader, &plugin, "is not one of minisign's");
    std::fs::remove_dir(&at).unwrap();
    // Nobody writes into it, and nobody waits for that.
    crate::unreadable::pipe(&at);
    told(&loader, &plugin, "is not one of minisign's");
}

/// Only the first line, which minisign calls untrusted, may be another.
#[test]
fn a_signature_with_any_other_byte_in_it_is_refused() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    let loader = trusting([signer.key()]);
    signer.sign(&plugin.path());
    let at = beside(&plugin.path());
    let good = std::fs::read(&at).unwrap();
    let first = good.iter().position(|byte| *byte == b'\n').unwrap();
    // Of the last line, the last letter has four bits that mean nothing, and padding stands behind it.
    let last = good.len() - 5;
    let mut runner = TestRunner::new(ProptestConfig::with_cases(64));
    let change = (first + 1..last, 1..=255_u8);
    let outcome = runner.run(&change, |(place, difference)| {
        let mut changed = good.clone();
        changed[place] ^= difference;
        std::fs::write(&at, &changed).unwrap();
        let refused = loader.preflight(&plugin.path()).err();
        prop_assert_eq!(refused.map(|error| error.kind()), Some(Untrusted));
        Ok(())
    });
    outcome.unwrap();
    std::fs::write(
        &at,
        [b"untrusted comment: another", &good[first..]].concat(),
    )
    .unwrap();
    loader.preflight(&plugin.path()).map(drop).unwrap();
}

#[test]
fn a_signature_makes_no_plugin_of_what_is_none() {
    let (text, signer) = (Changed::of("no plugin"), Signer::new());
    signer.sign_with_minisign(&text.path(), &[]);
    let error = trusting([signer.key()]).load(&text.path()).err().unwrap();
    assert_readable(&error, &text.path());
    assert!(error.reason().contains("is not an ELF library"), "{error}");
}

#[test]
fn minisign_verifies_what_we_sign() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let (file, public) = (plugin.path(), signer.made.public.clone());
    let [file, public] = [&file, &public].map(|path| path.to_str().unwrap());
    minisign(&["-V", "-H", "-p", public, "-m", file], "");
    minisign(&["-V", "-P", &signer.made.key, "-m", file], "");
}

/// Somebody swaps the file all the while. Whatever is loaded is what was checked: its bytes are read once.
#[test]
fn a_file_that_is_swapped_between_check_and_load_has_no_effect() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let folder = plugin.path().parent().unwrap().to_owned();
    let [good, bad] = ["good.so", "bad.so"].map(|name| folder.join(name));
    std::fs::copy(plugin.path(), &good).unwrap();
    std::fs::copy(plugin_file::misbehaving(), &bad).unwrap();
    let done = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let staged = folder.join("staged");
            while !done.load(Ordering::Relaxed) {
                for from in [&bad, &good] {
                    std::fs::hard_link(from, &staged).unwrap();
                    std::fs::rename(&staged, plugin.path()).unwrap();
                    // Renaming onto another name of the same file does nothing and leaves both.
                    let _ = std::fs::remove_file(&staged);
                }
            }
        });
        for _ in 0..200 {
            if loaded >= 10 && refused >= 10 {
                break;
            }
            match trusting([signer.key()]).load(&plugin.path()) {
                Ok(plugin) => {
                    assert_eq!(plugin.manifest().name, "coordinator-hello");
                    loaded += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), Untrusted, "{error}");
                    refused += 1;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(
        loaded > 0 && refused > 0,
        "{loaded} loaded, {refused} refused"
    );
}

#[test]
fn what_is_shelved_is_what_was_checked() {
    let (plugin, signer) = (Changed::hello(), Signer::new());
    signer.sign(&plugin.path());
    let loader = trusting([signer.key()]);
    let checked = loader.preflight(&plugin.path()).unwrap();
    let before = std::fs::read(plugin.path()).unwrap();
    let plugin = plugin.last_byte_changed();
    let data = tempfile::tempdir().unwrap();
    let shelved = Shelf::new(data.path()).put(&checked).unwrap();
    assert_eq!(std::fs::read(&shelved).unwrap(), before);
    told(&loader, &plugin, "changed after it was signed");
    loader.load(&shelved).map(drop).unwrap();
}
