//! The rules of the house that a test can hold: who may name what, which way imports go, headers, sizes, what must not
//! be left behind, and where the pages for readers lead.

mod circles;
mod imports;
mod names;
mod sizes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A Rust file: its path from the root and its lines.
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Source {
    /// Lines of code with their numbers: no comments, and nothing from the first `#[cfg(test)]` module on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = (0..self.lines.len()).find(|index| {
            let next = self.lines.get(index + 1).map(|line| line.trim_start());
            self.lines[*index].trim() == "#[cfg(test)]"
                && next.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        });
        let numbered = self.lines.iter().take(tests.unwrap_or(usize::MAX)).enumerate();
        numbered
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether all of it is test code.
    fn is_test(&self, test_modules: &BTreeSet<String>) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || test_modules.contains(&self.path)
    }

    fn starts_with_any(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| self.path.starts_with(room))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            walk(&path, suffix, found);
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
}

/// Every file of the project's rooms whose name ends so.
fn files(suffix: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for room in ["src", "raft-groups", "vector-index", "jepsen-lite", "tests"] {
        walk(&root().join(room), suffix, &mut paths);
    }
    paths.sort();
    paths
}

fn sources() -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("the file was just listed");
        let path = path.strip_prefix(root()).expect("it was found under the root").to_string_lossy().into_owned();
        Source { path, lines: text.lines().map(str::to_owned).collect() }
    };
    files(".rs").into_iter().map(read).collect()
}

/// Files that a `#[cfg(test)] mod name;` brings in.
fn test_modules(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources {
        for pair in source.lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]") {
            let name = pair[1].trim().split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';'));
            let Some(name) = name else { continue };
            let stem = source.path.trim_end_matches(".rs");
            let dir = stem.strip_suffix("/mod").or(stem.strip_suffix("/lib")).unwrap_or(stem);
            found.extend([format!("{dir}/{name}.rs"), format!("{dir}/{name}/mod.rs")]);
        }
    }
    found
}

fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for_and_fits_a_head() {
    let mut offences = Vec::new();
    for source in sources() {
        let header = source.lines.iter().take_while(|line| line.starts_with("//!")).map(String::len).sum::<usize>();
        if header < 20 {
            offences.push(format!("{}: no `//!` header worth the name", source.path));
        }
        if source.lines.len() > 400 {
            offences.push(format!("{}: {} lines", source.path, source.lines.len()));
        }
    }
    none("every file opens with what it is for and has at most 400 lines", offences);
}

#[test]
fn nothing_is_left_behind() {
    let sources = sources();
    let tests = test_modules(&sources);
    let mut offences = Vec::new();
    for source in sources.iter().filter(|source| source.path != "tests/integration/tidy/mod.rs") {
        let left = |line: &str| {
            ["TODO", "FIXME", "XXX:", "todo!(", "unimplemented!(", "dbg!("].iter().any(|mark| line.contains(mark))
        };
        let marks = source.lines.iter().enumerate().filter(|(_, line)| left(line));
        offences.extend(marks.map(|(index, line)| format!("{}:{}: {}", source.path, index + 1, line.trim())));
        if !source.is_test(&tests) {
            let unwraps = source.code().filter(|(_, line)| line.contains(".unwrap()"));
            offences.extend(unwraps.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
        }
    }
    none("no marks for later, and no unwrap outside tests (`expect` says why it holds)", offences);
}

#[test]
fn pure_files_are_pure() {
    let pure = [
        "src/model",
        "src/routing/dispatch/pending_call",
        "src/routing/dispatch/retry_timing",
        "src/routing/ring",
        "src/placement/apply",
        "src/placement/cluster_map",
        "src/placement/planner",
        "src/engine/commands/apply",
        "src/engine/payload_index",
        "src/engine/state",
        "vector-index/src",
        "jepsen-lite/src/judge/check",
        "jepsen-lite/src/judge/history",
    ];
    let impure =
        ["tokio::", "Instant", "SystemTime", "rand::", "std::fs", "std::net", "tracing::", "println!", "async fn"];
    let (sources, mut offences) = (sources(), Vec::new());
    let tests = test_modules(&sources);
    for source in sources.iter().filter(|source| source.starts_with_any(&pure) && !source.is_test(&tests)) {
        let lines = source.code().filter(|(_, line)| impure.iter().any(|word| line.contains(word)));
        offences.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    none("pure files know no clock, chance, runtime or I/O", offences);
}

/// Bugs are planted in builds of tests alone. What is built of the normal dependencies, the benchmark included, must not
/// have the feature. Without it the answer to whether a bug is planted is a constant.
#[test]
fn a_release_has_no_mutants() {
    let cargo = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "quiver", "-p", "quiver-bench"])
        .args(["-e", "normal,build,features", "-i", "raft-groups"])
        .current_dir(root())
        .output()
        .expect("cargo runs, since it runs this");
    let tree = String::from_utf8_lossy(&cargo.stdout);
    assert!(cargo.status.success() && tree.contains("raft-groups"), "{}", String::from_utf8_lossy(&cargo.stderr));
    assert!(!tree.contains("mutants"), "a normal build plants bugs:\n{tree}");
    let text = std::fs::read_to_string(root().join("raft-groups/src/mutants.rs")).expect("it is there");
    let constant =
        "#[cfg(not(any(test, feature = \"mutants\")))]\npub const fn is_planted(_: Mutant) -> bool {\n    false\n}";
    assert!(text.contains(constant), "without the feature, no bug may be planted");
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.starts_with_any(&["src/", "raft-groups/src/"])) {
        let names = source.code().filter(|(_, line)| line.contains("\"QUIVER_MUTANT\""));
        let allowed = source.path == "raft-groups/src/mutants.rs" || source.path.ends_with("/power_loss.rs");
        offences.extend(names.filter(|_| !allowed).map(|(number, line)| format!("{}:{number}: {line}", source.path)));
    }
    none("only raft-groups/src/mutants.rs asks for a bug by name", offences);
}

#[test]
fn the_readme_is_short() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the project has a README");
    let lines = readme.lines().count();
    assert!(
        lines <= 150,
        "README.md has {lines} lines: what one reader alone needs has a page beside what it is about"
    );
}

/// What of a page is no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    page.split("```").step_by(2)
}

/// Where the links of a page lead within the tree.
fn links(page: &str) -> Vec<&str> {
    let targets = prose(page).flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// Whether a page has the heading that a link names: in lower case, with dashes for spaces, without other signs.
fn has_heading(page: &str, anchor: &str) -> bool {
    let named = |heading: &str| -> String {
        let kept = heading.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
        kept.map(|sign| if sign == ' ' { '-' } else { sign.to_ascii_lowercase() }).collect()
    };
    let mut headings = prose(page).flat_map(str::lines).filter(|line| line.starts_with('#'));
    headings.any(|line| named(line.trim_start_matches('#').trim()) == anchor)
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    let (mut offences, mut seen) = (Vec::new(), 0);
    for path in files(".md").into_iter().chain([root().join("README.md")]) {
        let page = std::fs::read_to_string(&path).expect("the page was just listed");
        for link in links(&page) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let has_anchor = || std::fs::read_to_string(&target).is_ok_and(|page| has_heading(&page, anchor));
            if !target.exists() || !anchor.is_empty() && !has_anchor() {
                offences.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(seen > 30, "only {seen} links were found");
    none("a link leads to a file that is there, and to a heading that it has", offences);
}
