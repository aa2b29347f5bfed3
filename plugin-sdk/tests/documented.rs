//! Whatever the SDK gives an author has an example that `cargo test --doc` compiles.
//!
//! - A type, a trait, a function, a macro has one of its own: in its documentation, or in that of the `pub use` which
//!   hands it on.
//! - A method is called in its own example, or in one of its type's or of its type's other methods, in a line that readers
//!   see.
//! - Exempt: fields, variants, constants and implementations of traits; `#[doc(hidden)]`; methods that a `macro_rules`
//!   writes; and the module `prelude`, which names what is listed above once more.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::{Attribute, Expr, File, ImplItem, Item, Lit, Meta, TraitItem, Type, UseTree, Visibility};

/// The SDK itself, and what it hands on of its neighbours.
const SOURCES: [&str; 3] = ["src", "macros/src/lib.rs", "../crates/message/src"];

/// What the sources define under one name.
#[derive(Default)]
struct Defined {
    /// Definitions, not mentions.
    times: usize,
    docs: String,
    /// Of a type or a trait: name and documentation.
    methods: Vec<(String, String)>,
}

/// Everything that is public in some file, by name.
type Definitions = BTreeMap<String, Defined>;

#[test]
fn every_public_item_has_an_example_that_is_compiled() {
    let defined = definitions();
    let mut missing = Vec::new();
    for (name, docs_of_use) in exported() {
        let item = defined.get(&name);
        let item = item.unwrap_or_else(|| panic!("`{name}` is exported and not found"));
        assert_eq!(item.times, 1, "`{name}` is defined in several places");
        if examples(&item.docs).is_empty() && examples(&docs_of_use).is_empty() {
            missing.push(name.clone());
        }
        let methods = item.methods.iter().map(|(_, docs)| docs.as_str());
        let shown: String = [item.docs.as_str(), &docs_of_use]
            .into_iter()
            .chain(methods)
            .flat_map(examples)
            .collect();
        let unseen = item.methods.iter().filter(|(it, _)| !calls(&shown, it));
        missing.extend(unseen.map(|(method, _)| format!("{name}::{method}")));
    }
    assert!(
        missing.is_empty(),
        "these have no example: {missing:#?}\n(the head of this test says what counts)"
    );
}

#[test]
fn an_example_that_is_not_compiled_or_not_seen_does_not_count() {
    let text = "```text\na.b()\n```\n```toml\nc()\n```\n";
    assert!(examples(text).is_empty());
    let code =
        examples("Words.\n```no_run\nlet x = a.shown();\n# a.hidden();\n```\na.prose()").concat();
    assert!(calls(&code, "shown"));
    for unseen in ["hidden", "prose", "own"] {
        assert!(!calls(&code, unseen), "{unseen}");
    }
    assert!(calls("host.published::<Paid>()", "published"));
}

/// What an author can name, with the documentation of the `pub use` that hands it on.
fn exported() -> Vec<(String, String)> {
    let mut exported = Vec::new();
    for path in ["src/lib.rs", "src/testing.rs"] {
        for item in parse(&root().join(path)).items {
            match &item {
                Item::Use(it) if is_open(&it.vis, &it.attrs) => {
                    let mut names = BTreeSet::new();
                    names_of(&it.tree, &mut names);
                    let docs = docs(&it.attrs);
                    exported.extend(names.into_iter().map(|name| (name, docs.clone())));
                }
                _ => exported.extend(define(&item).map(|(name, _)| (name, String::new()))),
            }
        }
    }
    assert!(exported.len() > 50, "{exported:?}");
    exported
}

fn names_of(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => names_of(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|it| names_of(it, names)),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("name what is handed on as it is called"),
    }
}

fn definitions() -> Definitions {
    let mut definitions = Definitions::new();
    for source in SOURCES {
        for file in files(&root().join(source)) {
            for item in parse(&file).items {
                add(&mut definitions, &item);
            }
        }
    }
    definitions
}

fn add(definitions: &mut Definitions, item: &Item) {
    if let Item::Impl(block) = item {
        let (None, Some(owner)) = (&block.trait_, type_name(&block.self_ty)) else {
            return;
        };
        let methods = block.items.iter().filter_map(|item| match item {
            ImplItem::Fn(it) if is_open(&it.vis, &it.attrs) => {
                Some((it.sig.ident.to_string(), docs(&it.attrs)))
            }
            _ => None,
        });
        definitions
            .entry(owner)
            .or_default()
            .methods
            .extend(methods);
    } else if let Some((name, docs)) = define(item) {
        let defined = definitions.entry(name).or_default();
        defined.times += 1;
        defined.docs = docs;
        if let Item::Trait(it) = item {
            let methods = it.items.iter().filter_map(|item| match item {
                TraitItem::Fn(it) => Some((it.sig.ident.to_string(), self::docs(&it.attrs))),
                _ => None,
            });
            defined.methods.extend(methods);
        }
    }
}

/// The name and the documentation of what this item makes public, if it does.
fn define(item: &Item) -> Option<(String, String)> {
    let (vis, attrs, name) = match item {
        Item::Struct(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Enum(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Trait(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Fn(it) => (&it.vis, &it.attrs, &it.sig.ident),
        Item::Type(it) => (&it.vis, &it.attrs, &it.ident),
        Item::Macro(it) => return made(it),
        _ => return None,
    };
    is_open(vis, attrs).then(|| (name.to_string(), docs(attrs)))
}

/// `kind! { /// Documentation. Name }` makes a type of that name.
fn made(call: &syn::ItemMacro) -> Option<(String, String)> {
    let parts = |input: syn::parse::ParseStream<'_>| {
        let attrs = input.call(Attribute::parse_outer)?;
        Ok((input.parse::<syn::Ident>()?, attrs))
    };
    let (name, attrs) = call.mac.parse_body_with(parts).ok()?;
    Some((name.to_string(), docs(&attrs)))
}

fn is_open(vis: &Visibility, attrs: &[Attribute]) -> bool {
    let hidden = attrs.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident("doc") && list.is_ok_and(|it| it.tokens.to_string() == "hidden")
    });
    matches!(vis, Visibility::Public(_)) && !hidden
}

fn type_name(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

fn docs(attrs: &[Attribute]) -> String {
    let mut docs = String::new();
    for attribute in attrs.iter().filter(|it| it.path().is_ident("doc")) {
        if let Meta::NameValue(it) = &attribute.meta
            && let Expr::Lit(it) = &it.value
            && let Lit::Str(line) = &it.lit
        {
            docs.push_str(&line.value());
            docs.push('\n');
        }
    }
    docs
}

/// The code blocks that rustdoc compiles, without the lines that it does not show.
fn examples(docs: &str) -> Vec<String> {
    let (mut examples, mut inside) = (Vec::new(), None::<bool>);
    for line in docs.lines().map(str::trim) {
        match (line.strip_prefix("```"), inside) {
            (Some(words), None) => {
                let compiled = words
                    .split(',')
                    .all(|word| ["", "rust", "no_run", "should_panic"].contains(&word));
                if compiled {
                    examples.push(String::new());
                }
                inside = Some(compiled);
            }
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) if !line.starts_with("# ") => {
                let example = examples.last_mut().unwrap();
                example.push_str(line);
                example.push('\n');
            }
            _ => {}
        }
    }
    examples
}

/// Does this code call what has this name?
fn calls(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        whole && (after.starts_with('(') || after.starts_with("::<"))
    })
}

fn files(path: &Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let inside = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    inside.flat_map(|path| files(&path)).collect()
}

fn parse(file: &Path) -> File {
    let text = fs::read_to_string(file).unwrap();
    syn::parse_file(&text).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
