//! One flag that is declared more than once: in one plugin, by two versions of one, and by two plugins.
#![expect(clippy::unwrap_used, reason = "what surprises a test fails it")]

use std::collections::BTreeMap;

use coordinator_abi::Manifest;
use coordinator_config::{Config, Sources};
use coordinator_wiring::{Finding, Installed, Wiring};
use serde_json::json;

/// A plugin of this name, with flags that are on or off by default.
fn plugin(name: &str, flags: &[(&str, bool)]) -> Manifest {
    let flag = |(name, default): &(&str, bool)| json!({"name": name, "doc": "Switches.", "default": default});
    serde_json::from_value(json!({
        "name": name, "version": "1.0.0", "sdk": "1.0.0", "doc": "", "settings": [],
        "settings_schema": true, "routes": [], "messages": [], "handlers": [],
        "flags": flags.iter().map(flag).collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn build(plugins: &[(&str, &Manifest)]) -> Result<(Wiring, Vec<Finding>), Vec<Finding>> {
    let none = std::iter::empty::<(String, String)>();
    let config = Config::load(&Sources::new(None, none)).unwrap();
    let installed: Vec<_> = plugins
        .iter()
        .map(|&(name, manifest)| Installed {
            name,
            mount: "/",
            manifest,
        })
        .collect();
    Wiring::build(&installed, &[], &config.dispatch, &config.wiring)
}

fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_flag_that_is_on_in_one_struct_and_off_in_another_stops_the_start() {
    let shop = plugin("shop", &[("open", true), ("open", false)]);
    let findings = build(&[("shop", &shop)]).unwrap_err();
    assert_eq!(
        told(&findings),
        [
            "error[duplicate-flag] shop.open: the plugin declares it in two `#[flags]` structs, on in one and off in the \
          other\n  (declare it once in the plugin, or give one of them another name: until then install another version \
          of it, or switch the plugin off)"
        ]
    );
}

#[test]
fn a_flag_that_two_structs_declare_alike_is_one_switch_and_a_warning() {
    let shop = plugin("shop", &[("open", true), ("open", true)]);
    let (wiring, findings) = build(&[("shop", &shop)]).unwrap();
    assert_eq!(wiring.flags.len(), 1);
    assert_eq!(
        told(&findings),
        [
            "warning[duplicate-flag] shop.open: the plugin declares it in two `#[flags]` structs: one switch turns both\n  \
          (declare it once in the plugin, or give one of them another name)"
        ]
    );
}

#[test]
fn two_instances_of_one_plugin_with_other_defaults_are_a_warning_until_somebody_says_how_it_stands()
{
    let (old, new) = (
        plugin("shop", &[("fast", false)]),
        plugin("shop", &[("fast", true)]),
    );
    let (wiring, findings) = build(&[("de", &old), ("fr", &new)]).unwrap();
    assert_eq!(findings, []);
    assert_eq!(
        told(&wiring.check_flags(&BTreeMap::new(), &[])),
        [
            "warning[flag-default-differs] fr.fast: it is on unless somebody says otherwise, and `de.fast` is off: both are \
          of plugin `shop`\n  (say how it is to stand: `coordinator flag set fr.fast on`, or `off`)"
        ]
    );
    let set = BTreeMap::from([("fr.fast".to_owned(), false)]);
    assert_eq!(wiring.check_flags(&set, &[]), []);
}

#[test]
fn two_plugins_may_have_flags_of_one_name_and_it_is_good_to_know() {
    let (shop, lms) = (
        plugin("shop", &[("open", true), ("fast", true)]),
        plugin("lms", &[("open", false), ("fast", true)]),
    );
    let (wiring, _) = build(&[("shop", &shop), ("lms", &lms)]).unwrap();
    assert_eq!(
        told(&wiring.check_flags(&BTreeMap::new(), &[])),
        [
            "info[flag-default-differs] lms.open: it is off unless somebody says otherwise, and `shop.open` is on: they are \
          two flags, of plugins `shop` and `lms`\n  (say how it is to stand: `coordinator flag set lms.open on`, or `off`)"
        ]
    );
}
