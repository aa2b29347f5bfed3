//! Tells the SDK which compiler and target a plugin is built with, for the line that `plugin inspect` shows.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=COORDINATOR_RUSTC={}", version.trim());
    println!(
        "cargo::rustc-env=COORDINATOR_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
}
