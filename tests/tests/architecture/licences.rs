//! Which licences may come in with a dependency.

use crate::metadata::metadata;

/// SPDX identifiers. `MIT-0` is MIT without the duty to name its author.
const ALLOWED: [&str; 12] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Let in by name: `generational-arena` comes with `abi_stable`, and is used unchanged (MPL-2.0, file by file).
const EXCEPTIONS: [(&str, &str); 1] = [("generational-arena", "MPL-2.0")];

#[test]
fn every_package_has_a_licence_that_may_come_in() {
    for package in &metadata().packages {
        let licence = package.license.as_deref().unwrap_or("no licence");
        let excepted = EXCEPTIONS.contains(&(package.name.as_str(), licence));
        assert!(
            excepted || may_come_in(licence),
            "`{}` {} is under `{licence}`",
            package.name,
            package.version
        );
    }
}

#[test]
fn a_licence_is_read_as_spdx_means_it() {
    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(may_come_in(fine), "{fine}");
    }
    for refused in [
        "",
        "no licence",
        "GPL-3.0-or-later",
        "MIT AND GPL-3.0-only",
        "MIT OR",
        "(MIT",
        "MIT MIT",
        "AGPL-3.0-only WITH Classpath-exception-2.0",
    ] {
        assert!(!may_come_in(refused), "{refused}");
    }
}

/// Can the terms be met with allowed licences only? What is no SPDX expression cannot.
fn may_come_in(expression: &str) -> bool {
    // A slash is what crates wrote before SPDX: one or the other.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut tokens = Tokens(spaced.split_whitespace().collect());
    let met = tokens.any();
    met == Some(true) && tokens.0.is_empty()
}

/// What is left to read. Each reader answers whether its part can be met, or nothing if it is malformed.
struct Tokens<'a>(std::collections::VecDeque<&'a str>);

impl Tokens<'_> {
    fn take(&mut self, token: &str) -> bool {
        let found = self.0.front() == Some(&token);
        if found {
            self.0.pop_front();
        }
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.any()?;
            return self.take(")").then_some(met);
        }
        let met = ALLOWED.contains(&self.0.pop_front()?);
        if self.take("WITH") {
            // An exception only gives more leave.
            self.0.pop_front()?;
        }
        Some(met)
    }
}
