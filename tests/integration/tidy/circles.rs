//! No two files import each other, not by way of others either: what both need lies below both.
//!
//! Imports are read off the text: `use` items, re-exports of modules followed, and paths written out. A module that uses
//! its own parent counts; a parent that uses its own child does not, since it owns the child.

use std::collections::{BTreeMap, BTreeSet};

use super::{none, sources, test_modules};

/// A path of names: of a module, or of an item in one.
type Names = Vec<String>;

/// One crate's modules: what each says, without tests and comments.
struct CrateModules(BTreeMap<Names, String>);

/// What a module imports, and which names it passes on from where.
#[derive(Default)]
struct Imports {
    used: Vec<Names>,
    passed_on: BTreeMap<String, Names>,
}

impl CrateModules {
    fn read(src: &str) -> Self {
        let sources = sources();
        let tests = test_modules(&sources);
        let product = sources.iter().filter(|source| source.path.starts_with(src) && !source.is_test(&tests));
        let module = |path: &str| -> Names {
            let mut names: Names = path[src.len()..].trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
                names.pop();
            }
            names
        };
        let text = |lines: Vec<(usize, &str)>| -> String {
            let code = lines.into_iter().map(|(_, line)| line.split("//").next().unwrap_or_default());
            code.collect::<Vec<_>>().join("\n")
        };
        Self(product.map(|source| (module(&source.path), text(source.code().collect()))).collect())
    }

    /// Where `path`, written in `module`, leads from the root of the crate; `None` for what is of another crate.
    fn root_path(&self, module: &Names, path: &[String]) -> Option<Names> {
        let ups = path.iter().take_while(|name| *name == "super").count();
        let (mut base, rest) = match path.first()?.as_str() {
            "crate" => (Names::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module[..module.len().checked_sub(ups)?].to_vec(), &path[ups..]),
            child => (module.iter().cloned().chain([child.to_owned()]).collect(), &path[1..]),
        };
        let is_ours = ups > 0 || ["crate", "self"].contains(&path[0].as_str()) || self.0.contains_key(&base);
        base.extend_from_slice(rest);
        is_ours.then_some(base)
    }

    fn imports(&self, module: &Names, text: &str) -> Imports {
        let (mut imports, mut rest) = (Imports::default(), String::new());
        for statement in text.split_inclusive(';') {
            // What stands before an import in the same piece is code, as is the piece where no import ends it.
            let start = statement.match_indices("use ").map(|(at, _)| at).find(|at| {
                let line = statement[..*at].rsplit('\n').next().unwrap_or_default().trim();
                line.is_empty() || line.starts_with("pub")
            });
            let Some(start) = start else {
                rest.push_str(statement);
                continue;
            };
            rest.push_str(&statement[..start]);
            let is_passed_on = statement[..start].rsplit('\n').next().is_some_and(|line| line.contains("pub"));
            for path in spread(&statement[start + "use ".len()..statement.len() - 1], &[]) {
                let Some(target) = self.root_path(module, &path) else { continue };
                match target.last().filter(|_| is_passed_on).cloned() {
                    Some(name) => drop(imports.passed_on.insert(name, target)),
                    None => imports.used.push(target),
                }
            }
        }
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
        for path in rest.split(|letter| !is_part(letter)).filter(|path| path.contains("::")) {
            let path: Names = path.split("::").map(str::to_owned).collect();
            if ["crate", "super"].contains(&path[0].as_str()) {
                imports.used.extend(self.root_path(module, &path));
            }
        }
        imports
    }

    /// The module that has what lies at `path`, by way of re-exports.
    fn owner(&self, path: &[String], imports: &BTreeMap<Names, Imports>, depth: u32) -> Option<Names> {
        let module = (0..=path.len()).rev().map(|end| path[..end].to_vec()).find(|names| self.0.contains_key(names))?;
        let rest = &path[module.len()..];
        let passed_on = rest.first().and_then(|name| imports[&module].passed_on.get(name)).filter(|_| depth > 0);
        match passed_on {
            Some(target) => self.owner(&[target, &rest[1..]].concat(), imports, depth - 1),
            None => Some(module),
        }
    }

    /// Which modules each imports, its own children left out.
    fn arrows(&self) -> BTreeMap<Names, BTreeSet<Names>> {
        let imports: BTreeMap<_, _> =
            self.0.iter().map(|(module, text)| (module.clone(), self.imports(module, text))).collect();
        let targets = |module: &Names, imported: &Imports| {
            let owners = imported.used.iter().filter_map(|path| self.owner(path, &imports, 8));
            owners.filter(|owner| !owner.starts_with(module)).collect()
        };
        imports.iter().map(|(module, imported)| (module.clone(), targets(module, imported))).collect()
    }
}

/// The paths of one `use`, its braces taken apart.
fn spread(tree: &str, before: &[String]) -> Vec<Names> {
    let tree = tree.trim();
    let (head, inside) = match tree.split_once('{') {
        Some((head, inside)) => (head, Some(inside.trim_end().trim_end_matches('}'))),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let path: Names = before.iter().cloned().chain(names).collect();
    let Some(inside) = inside else { return vec![path] };
    let (mut depth, mut start, mut paths) = (0, 0, Vec::new());
    for (at, letter) in inside.char_indices().chain([(inside.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 || at == inside.len() => {
                if !inside[start..at].trim().is_empty() {
                    paths.extend(spread(&inside[start..at], &path));
                }
                start = (at + 1).min(inside.len());
            }
            _ => {}
        }
    }
    paths
}

/// All that can be reached from `start`, which is among it only by way of a circle.
fn reached<'a>(arrows: &'a BTreeMap<Names, BTreeSet<Names>>, start: &'a Names) -> BTreeSet<&'a Names> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(module) = next.pop() {
        next.extend(arrows[module].iter().filter(|target| seen.insert(*target)));
    }
    seen
}

/// Each circle as the names of its files.
fn circles(arrows: &BTreeMap<Names, BTreeSet<Names>>) -> BTreeSet<BTreeSet<String>> {
    let reach: BTreeMap<_, _> = arrows.keys().map(|module| (module, reached(arrows, module))).collect();
    let members = |module: &Names| -> BTreeSet<String> {
        let beside = reach[module].iter().filter(|other| reach[*other].contains(module));
        beside.map(|other| other.join("::")).collect()
    };
    arrows.keys().map(members).filter(|circle| circle.len() > 1).collect()
}

#[test]
fn files_import_each_other_in_no_circle() {
    let mut offences = Vec::new();
    for src in ["src/", "raft-groups/src/", "vector-index/src/", "jepsen-lite/src/"] {
        let modules = CrateModules::read(src);
        let arrows = modules.arrows();
        let count: usize = arrows.values().map(BTreeSet::len).sum();
        assert!(count > modules.0.len(), "{src}: only {count} imports were found in {} files", modules.0.len());
        let told = circles(&arrows).into_iter().map(|circle| circle.into_iter().collect::<Vec<_>>().join(", "));
        offences.extend(told.map(|circle| format!("{src}: {circle}")));
    }
    none("what two files need of each other lies in a third, below both", offences);
}

#[test]
fn a_circle_is_found_through_braces_re_exports_and_paths() {
    let module =
        |names: &str| -> Names { names.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect() };
    let found = |files: &[(&str, &str)]| {
        let modules = CrateModules(files.iter().map(|(name, text)| (module(name), (*text).to_owned())).collect());
        circles(&modules.arrows()).into_iter().flatten().collect::<Vec<_>>()
    };
    let root = ("", "mod a;\nmod b;\nmod c;\npub use b::{Deep as Other, inner::Deep};");
    let down = [root, ("a", "use crate::b::Wide;"), ("b", "mod inner;\nuse inner::Deep;"), ("b::inner", ""), ("c", "")];
    assert!(found(&down).is_empty());
    let by_braces = [
        root,
        ("a", "use super::{\n    b::{Wide, Tall},\n    c,\n};"),
        ("b", ""),
        ("b::inner", ""),
        ("c", "use crate::a::A;"),
    ];
    assert_eq!(found(&by_braces), ["a", "c"]);
    let by_root =
        [root, ("a", "use crate::Deep;"), ("b", ""), ("b::inner", "fn f() {\n    crate::a::g();\n}"), ("c", "")];
    assert_eq!(found(&by_root), ["a", "b::inner"]);
    let by_child = [root, ("a", ""), ("b", "use inner::Deep;"), ("b::inner", "use super::Wide;"), ("c", "")];
    assert!(found(&by_child).is_empty(), "a child may use its parent, which owns it");
}
