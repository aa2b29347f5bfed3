//! SIGHUP: the configuration file and the plugin files are read again, and put in force as a whole or not at all.

use std::path::Path;

use coordinator_tests::{TestHouse, built, eventually};

use crate::stage::{happen, plugin, said, until_retired, version};

/// A house with a plugin in the configuration file, of which the file can be replaced.
fn house() -> TestHouse {
    let house = TestHouse::builder()
        .file("plugin.so", &bytes("changing"))
        .config(
            "[trust]\npolicy = \"any\"\n[plugins.changing]\npath = \"plugin.so\"\n\
             [plugins.changing.settings]\nword = \"one\"",
        )
        .start();
    assert_eq!(version(&house), "1.0.0 one");
    house
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(built(&format!("lib{name}.so"))).expect("it is built")
}

fn put(folder: &Path, name: &str) {
    // As `install` and package managers do it: the old file is not written into.
    std::fs::write(folder.join("new.so"), bytes(name)).expect("the folder is writable");
    std::fs::rename(folder.join("new.so"), folder.join("plugin.so")).expect("it is writable");
}

#[test]
fn a_file_and_settings_that_have_changed_are_in_force_after_a_hang_up() {
    let house = house();
    put(house.folder(), "changed");
    let listed = plugin(&house, "changing");
    assert_eq!(listed["version"], "1.0.0", "{listed}");
    assert_eq!(listed["on_disk"]["version"], "2.0.0", "{listed}");
    assert_eq!(listed["on_disk"]["loaded"], false, "{listed}");
    house.reconfigure("word = \"one\"", "word = \"two\"");
    house.hang_up();
    house
        .log()
        .until("the configuration was read again, and is in force", 1);
    assert_eq!(version(&house), "2.0.0 two");
    happen(&house, 1).is(202);
    house.until_settled("changing.note");
    until_retired(&house);
}

#[test]
fn a_file_or_a_configuration_that_cannot_be_used_changes_nothing() {
    let house = house();
    std::fs::write(house.folder().join("plugin.so"), "no plugin").expect("it is writable");
    house.hang_up();
    house.log().until("everything is as it was", 1);
    assert_eq!(version(&house), "1.0.0 one");
    put(house.folder(), "changed_too_much");
    house.hang_up();
    house.log().until("everything is as it was", 2);
    assert_eq!(version(&house), "1.0.0 one");
    put(house.folder(), "changing");
    house.reconfigure("word = \"one\"", "word = 1");
    house.hang_up();
    house.log().until("everything is as it was", 3);
    assert_eq!(version(&house), "1.0.0 one");
    house.reconfigure("word = 1", "word = \"three\"");
    house.reconfigure("format = \"json\"", "format = \"json\"\nfilter = \"debug\"");
    house.hang_up();
    eventually("it is in force", || {
        (version(&house) == "1.0.0 three").then_some(())
    });
    assert!(!said(&house, "takes effect after a restart").is_empty());
}
