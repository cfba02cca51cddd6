//! One type name for one thing in the whole workspace, no theatre in names, and no page that names what is not there.

use std::collections::BTreeMap;

use super::{Source, files, none, root, sources, test_modules};

/// Names that two types may share: the wire's and the inside's form of one thing, or a word that each command line has.
/// The list may only become shorter.
const SHARED: [&str; 22] = [
    "Answer",
    "Body",
    "Change",
    "ChildProcess",
    "Explain",
    "Faults",
    "Found",
    "Health",
    "Hit",
    "Json",
    "Key",
    "LoadPlan",
    "Number",
    "Query",
    "Record",
    "RequestOutcome",
    "Row",
    "State",
    "Table",
    "Target",
    "Verb",
    "Verdict",
];

/// Words that the field does not use, in names of types, functions and files.
const METAPHORS: [&str; 16] = [
    "errand",
    "carrier",
    "books",
    "shelf",
    "crew",
    "lectern",
    "steward",
    "walker",
    "vitals",
    "weather",
    "murder",
    "sieve",
    "heir",
    "wrongdoor",
    "whereabouts",
    "tape",
];

/// The name that a line declares, if it declares an item with this keyword at the start of a line or within a module.
fn declared<'l>(line: &'l str, keywords: &[&str]) -> Option<&'l str> {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub") || word.ends_with(')') || ["async", "const", "unsafe"].contains(word)
    });
    let keyword = words.next()?;
    let name = words.next()?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(name.len());
    (keywords.contains(&keyword) && end > 0).then(|| &name[..end])
}

fn product() -> Vec<Source> {
    let sources = sources();
    let tests = test_modules(&sources);
    sources.into_iter().filter(|source| !source.is_test(&tests) && !source.path.ends_with("/tests.rs")).collect()
}

#[test]
fn a_type_name_is_declared_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in product() {
        for (number, line) in source.code() {
            // An associated type belongs to its trait, and has the trait's name beside it wherever it is used.
            let is_associated = line.starts_with(' ') && line.trim_start().starts_with("type ");
            if let Some(name) = declared(line, &["struct", "enum", "trait", "type"]).filter(|_| !is_associated) {
                places.entry(name.to_owned()).or_default().push(format!("{}:{number}", source.path));
            }
        }
    }
    let twice = places.iter().filter(|(name, places)| places.len() > 1 && !SHARED.contains(&name.as_str()));
    none(
        "a type name is declared once",
        twice.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect(),
    );
    let lonely = SHARED.iter().filter(|name| places.get(**name).is_none_or(|places| places.len() < 2));
    none("what is declared once need not be allowed twice", lonely.map(|name| (*name).to_owned()).collect());
}

#[test]
fn names_are_the_fields_own() {
    let mut offences = Vec::new();
    for source in product() {
        let stem = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if METAPHORS.iter().any(|word| stem.split('_').any(|part| part == *word)) {
            offences.push(format!("{}: the file's name", source.path));
        }
        for (number, line) in source.code() {
            let Some(name) = declared(line, &["struct", "enum", "trait", "type", "fn"]) else { continue };
            let lower = name.to_lowercase();
            if METAPHORS.iter().any(|word| lower.contains(word)) {
                offences.push(format!("{}:{number}: {name}", source.path));
            }
        }
    }
    none("types, functions and files have the names of the field", offences);
}

#[test]
fn a_declaration_is_seen_for_what_it_is() {
    let kinds = ["struct", "enum", "trait", "type"];
    assert_eq!(declared("pub(in crate::gateway) struct Route {", &kinds), Some("Route"));
    assert_eq!(declared("pub type Rows<T> = Vec<T>;", &kinds), Some("Rows"));
    assert_eq!(declared("    struct Word<T>(T);", &kinds), Some("Word"));
    assert_eq!(declared("pub(super) async fn call(&self) {", &["fn"]), Some("call"));
    assert_eq!(declared("    let structure = 1;", &kinds), None);
}

#[test]
fn pages_name_files_that_are_there() {
    let all: Vec<String> = files(".rs").iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let mut offences = Vec::new();
    for page in files(".md").into_iter().chain([root().join("README.md")]) {
        let text = std::fs::read_to_string(&page).expect("the file was just listed");
        for named in text.split('`').skip(1).step_by(2).filter(|named| named.ends_with(".rs") && !named.contains(' ')) {
            // A name without a folder is one of the folder that the sentence is about.
            let ending = format!("/{named}");
            if !all.iter().any(|path| path.ends_with(&ending)) {
                offences.push(format!("{}: `{named}`", page.display()));
            }
        }
    }
    none("pages name files that are there", offences);
}
