//! What a head holds: folders, files and functions.

use std::collections::BTreeMap;
use std::path::Path;

use super::{none, root, sources, test_modules};

const FILES_A_FOLDER: usize = 14;
const LINES_A_FUNCTION: usize = 60;
/// This loop runs millions of times a second. Parts cut out of it would pass their state through memory.
const LONGER: [&str; 1] = ["vector-index/src/graph/walk.rs: spread"];

#[test]
fn a_folder_has_few_files() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources() {
        let folder = Path::new(&source.path).parent().unwrap_or_else(|| root());
        *folders.entry(folder.to_string_lossy().into_owned()).or_default() += 1;
    }
    let crowded = folders.iter().filter(|(_, files)| **files > FILES_A_FOLDER);
    none("a folder has at most 14 files; the next is the sign of a second room", {
        crowded.map(|(folder, files)| format!("{folder}: {files}")).collect()
    });
}

/// The functions of a file with the lines that each has.
fn functions(lines: &[String]) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_head = before
            .split_whitespace()
            .all(|word| word.starts_with("pub") || word.ends_with(')') || ["async", "const", "unsafe"].contains(&word));
        let is_named = after.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
        if !is_head || !is_named {
            continue;
        }
        let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
        let close = format!("{}}}", " ".repeat(indent));
        // A head without a body ends in a semicolon before any line of a body could end it.
        let ends = |line: &&String| {
            **line == close || (line.ends_with(';') && line.starts_with(&format!("{})", " ".repeat(indent))))
        };
        let is_one_line = line.ends_with('}') || line.ends_with(';');
        let length = lines[start..].iter().position(|line| ends(&line)).map_or(1, |end| end + 1);
        found.push((name, if is_one_line { 1 } else { length }));
    }
    found
}

#[test]
fn a_function_fits_a_screen() {
    let sources = sources();
    let tests = test_modules(&sources);
    let mut offences = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test(&tests)) {
        let long = functions(&source.lines).into_iter().filter(|(_, lines)| *lines > LINES_A_FUNCTION);
        offences.extend(
            long.map(|(name, lines)| (format!("{}: {name}", source.path), lines))
                .filter(|(place, _)| !LONGER.contains(&place.as_str()))
                .map(|(place, lines)| format!("{place}, {lines} lines")),
        );
    }
    none("a function has at most 60 lines", offences);
}

#[test]
fn the_length_of_a_function_is_counted() {
    let lines: Vec<String> =
        ["fn a() {", "    b();", "}", "    pub async fn c(&self);", "fn d() {}"].map(str::to_owned).into();
    assert_eq!(functions(&lines), [("a", 3), ("c", 1), ("d", 1)]);
}
