//! A good file: what is known of it before and after it is loaded.

use std::sync::Arc;

use coordinator_loader::{Loader, Trust, inspect};

use crate::plugin_file::{self, Changed};

#[test]
fn a_plugin_is_loaded_with_the_manifest_that_its_macros_wrote() {
    let loaded = Loader::new(Trust::Any).load(&plugin_file::hello()).unwrap();
    let manifest = loaded.manifest();
    assert_eq!(manifest.name, "coordinator-hello");
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
    let [route] = &manifest.routes[..] else {
        panic!("one route: {:?}", manifest.routes)
    };
    assert_eq!(
        (route.method.as_str(), route.path.as_str()),
        ("POST", "/greetings")
    );
    let [handler] = &manifest.handlers[..] else {
        panic!("one handler: {:?}", manifest.handlers)
    };
    assert_eq!(handler.name, "greet");
    assert_eq!(handler.ty, "org.example.greeting.asked.v1");
    let [message] = &manifest.messages[..] else {
        panic!("one message: {:?}", manifest.messages)
    };
    assert_eq!(message.key.as_deref(), Some("name"));
    assert_eq!(message.schema["properties"]["name"]["type"], "string");
    assert_eq!(manifest.settings[0].name, "greeting");
    assert!(!manifest.settings[0].required, "it has a default");
}

#[test]
fn the_section_says_the_same_as_the_manifest() {
    let inspection = inspect(&plugin_file::hello()).unwrap();
    let loaded = Loader::new(Trust::Any).load(&plugin_file::hello()).unwrap();
    assert_eq!(&inspection.section.head, loaded.head());
    assert_eq!(inspection.sha256, loaded.sha256());
    assert_eq!(inspection.section.head.panic, "unwind");
    let has = |key: &str, value: &str| {
        let lines = &inspection.section.lines;
        lines.iter().any(|line| line[key] == value)
    };
    assert!(has("handler", "greet"));
    assert!(has("route", "/greetings"));
    assert!(has("setting", "greeting"));
    assert!(has("message", "org.example.greeting.asked.v1"));
}

/// The dynamic linker cannot map this file, so nothing of it can have run.
#[test]
fn inspect_reads_what_cannot_even_be_loaded() {
    let changed = Changed::hello().replaced("libgcc_s.so.1", "libnone_.so.1");
    let inspection = inspect(&changed.path()).unwrap();
    assert_eq!(inspection.section.head.name, "coordinator-hello");
    assert_eq!(inspection.path, changed.path());
    assert_eq!(
        inspection.size,
        changed.path().metadata().unwrap().len(),
        "in bytes"
    );
}

#[test]
fn the_same_bytes_are_mapped_once_wherever_they_lie() {
    let loader = Loader::new(Trust::Any);
    let (here, there) = (Changed::hello(), Changed::hello());
    let first = loader.load(&here.path()).unwrap();
    let second = loader.load(&there.path()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn a_plugin_stays_whole_when_its_file_is_overwritten() {
    let plugin = Changed::hello();
    let loaded = Loader::new(Trust::Any).load(&plugin.path()).unwrap();
    let before = loaded.sha256().to_owned();
    let plugin = plugin.cut(10);
    assert!(loaded.path() == plugin.path());
    assert_eq!(loaded.sha256(), before);
    drop(loaded.open::<crate::lent::Port>());
}
