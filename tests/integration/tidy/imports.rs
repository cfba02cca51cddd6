//! Who may import whom: crates, rooms, and what each file says of itself that it does not know.

use std::collections::BTreeSet;

use super::{none, root, sources, test_modules};

#[test]
fn only_raft_groups_names_openraft_or_sled() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.starts_with_any(&["src/", "jepsen-lite/", "tests/"])) {
        if source.path == "tests/integration/tidy/imports.rs" {
            continue;
        }
        let named = source
            .code()
            .filter(|(_, line)| line.contains("openraft") || line.contains("sled::") || line.contains("use sled"));
        offences.extend(named.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    for manifest in ["Cargo.toml", "jepsen-lite/Cargo.toml", "vector-index/Cargo.toml", "tests/bench/Cargo.toml"] {
        let text = std::fs::read_to_string(root().join(manifest)).expect("every crate has a manifest");
        // The workspace's table of versions is where the pins stand; depending on one is another thing.
        let own = text.split("\n[dependencies]").nth(1).unwrap_or_default();
        let named = own.lines().filter(|line| line.starts_with("openraft") || line.starts_with("sled"));
        offences.extend(named.map(|line| format!("{manifest}: {line}")));
    }
    none("only raft-groups may name openraft or sled", offences);
}

#[test]
fn the_crates_below_import_nothing_of_ours() {
    let below = |path: &str, names: &[&str]| -> Vec<String> {
        let krate = path.split('/').next().unwrap_or_default();
        let mut offences = Vec::new();
        for source in sources().iter().filter(|source| source.path.starts_with(path)) {
            let imports = |line: &str| {
                names.iter().any(|name| line.contains(&format!("{name}::")) || line.contains(&format!("use {name}")))
            };
            offences.extend(
                source
                    .code()
                    .filter(|(_, line)| imports(line))
                    .map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())),
            );
        }
        let manifest =
            std::fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("every crate has a manifest");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default().to_owned();
        let declares = |line: &&str| names.iter().any(|name| line.starts_with(&name.replace('_', "-")));
        offences.extend(dependencies.lines().filter(declares).map(|line| format!("{krate}/Cargo.toml: {line}")));
        offences
    };
    none("jepsen-lite is a black box", below("jepsen-lite/", &["quiver", "raft_groups"]));
    none("raft-groups is below everything", below("raft-groups/src/", &["quiver"]));
    none("vector-index knows vectors only", below("vector-index/src/", &["quiver", "raft_groups"]));
}

/// Which rooms of `src/` each may import, beside `model`, whose words all share. A node that joins is a client of those it
/// joins.
const STAIRS: [(&str, &[&str]); 15] = [
    ("model", &[]),
    ("api", &[]),
    ("config", &[]),
    ("console", &[]),
    ("engine", &[]),
    ("placement", &["engine"]),
    ("routing", &["engine", "placement"]),
    ("gateway", &["api", "config", "console", "engine", "placement", "routing"]),
    ("client", &["api"]),
    ("output", &["api"]),
    ("node", &["api", "client", "config", "engine", "placement", "routing", "gateway"]),
    ("dev", &["client", "output"]),
    ("demo", &["api", "client", "console", "dev", "gateway", "output"]),
    ("cli", &["api", "client", "config", "demo", "dev", "engine", "gateway", "node", "output"]),
    ("main", &["cli"]),
];

#[test]
fn imports_go_down_the_stairs() {
    let rooms: BTreeSet<&str> = STAIRS.iter().map(|(room, _)| *room).collect();
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("src/") && source.path != "src/lib.rs") {
        let room = source.path["src/".len()..].split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let Some((_, allowed)) = STAIRS.iter().find(|(name, _)| *name == room) else {
            offences.push(format!("{}: no stair is told for {room}", source.path));
            continue;
        };
        for (number, line) in source.code() {
            let named = line.split("crate::").skip(1).chain(line.split("quiver::").skip(1));
            for target in named.map(|rest| {
                rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
            }) {
                if target.is_empty() {
                    offences.push(format!("{}:{number}: one `use` a room: {}", source.path, line.trim()));
                } else if rooms.contains(target) && target != "model" && target != room && !allowed.contains(&target) {
                    offences.push(format!("{}:{number}: {room} imports {target}: {}", source.path, line.trim()));
                }
            }
        }
    }
    none(
        "imports go main → cli → {demo → {dev, console}, node} → client, node → gateway → routing → {placement, engine}, never up",
        offences,
    );
}

/// Rooms that may name something of raft-groups, and what: the others hear of consensus in the words of `model`. A gateway
/// takes words, statuses and events, and no group that it could write to or stop.
const OF_CONSENSUS: [(&str, Option<&[&str]>); 8] = [
    ("config", Some(&["BrokenRule", "RaftSettings"])),
    ("cli", Some(&["NodeId"])),
    ("model", Some(&["Role", "ReadMode", "mutants"])),
    ("engine", None),
    ("placement", None),
    ("routing", None),
    (
        "gateway",
        Some(&[
            "GroupId",
            "GroupStatus",
            "LONGEST_PROMISE",
            "NodeId",
            "RaftSettings",
            "ReadMode",
            "ReadPoint",
            "Role",
            "events",
            "inspect",
            "mutants",
            "network",
            "recoveries",
        ]),
    ),
    ("node", None),
];

/// The names that follow `raft_groups::` in a line: one, or all in braces.
fn named_of_consensus(line: &str) -> Vec<&str> {
    let is_sign = |letter: char| !letter.is_alphanumeric() && letter != '_';
    let first = |rest: &'_ str| rest.split(is_sign).next().unwrap_or_default().len();
    let after = line.split("raft_groups::").skip(1);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(inside) => {
                inside.split('}').next().unwrap_or_default().split(',').map(|name| name.trim()).collect::<Vec<_>>()
            }
            None => vec![rest],
        })
        .map(|name| &name[..first(name)])
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn few_rooms_name_what_consensus_is_made_of() {
    let (sources, mut offences) = (sources(), Vec::new());
    let tests = test_modules(&sources);
    let product = sources.iter().filter(|source| source.path.starts_with("src/") && !source.is_test(&tests));
    for source in product {
        let room = source.path["src/".len()..].split('/').next().unwrap_or_default();
        let allowed = OF_CONSENSUS.iter().find(|(name, _)| *name == room).map(|(_, items)| *items);
        for (number, line) in source.code() {
            let told = format!("{}:{number}: {}", source.path, line.trim());
            let offends = match allowed {
                None => line.contains("raft_groups"),
                Some(None) => false,
                Some(Some(items)) => named_of_consensus(line).iter().any(|name| !items.contains(name)),
            };
            offences.extend(offends.then_some(told));
        }
    }
    none("a room names of raft-groups what it may", offences);
}

/// What a header may say that its file does not know, and what the file would hold if it did.
const CLAIMS: [(&str, &[&str]); 11] = [
    ("Raft", &["raft_groups::Group", "raft_groups::Host", "openraft"]),
    ("HTTP", &["axum::", "hyper::", "reqwest::"]),
    ("JSON", &["serde_json::"]),
    ("clock", &["Instant::now", "SystemTime"]),
    ("task", &["tokio::spawn"]),
    ("no files", &["std::fs", "File::"]),
    ("cluster", &["ClusterMap"]),
    ("router", &["crate::routing"]),
    ("engine", &["crate::engine"]),
    ("supervisor", &["Supervisor"]),
    ("exit codes", &["ExitCode", "Exit::"]),
];

/// What a header says that its file does not know: the sentences from there on.
fn unknowns(header: &str) -> Vec<&str> {
    let starts = ["must not know", "Must not know", "nows no ", "nows nothing of", "nows neither"];
    let found = starts.iter().flat_map(|start| header.match_indices(start));
    found.filter_map(|(at, _)| header[at..].split(['.', ':', ';', ',']).next()).collect()
}

#[test]
fn a_file_does_not_know_what_its_header_says_it_does_not() {
    let (sources, mut offences, mut held) = (sources(), Vec::new(), 0);
    let tests = test_modules(&sources);
    for source in sources.iter().filter(|source| !source.is_test(&tests)) {
        let lines = source.lines.iter().take_while(|line| line.starts_with("//!"));
        let header = lines.map(|line| line.trim_start_matches("//!")).collect::<String>();
        for unknown in unknowns(&header) {
            let says = |word: &str| match word.contains(' ') {
                true => unknown.contains(word),
                false => unknown.split(|letter: char| !letter.is_alphanumeric()).any(|part| part == word),
            };
            for (_, signs) in CLAIMS.iter().filter(|(word, _)| says(word)) {
                held += 1;
                let known = source.code().filter(|(_, line)| signs.iter().any(|sign| line.contains(sign)));
                offences.extend(
                    known.map(|(number, line)| format!("{}:{number}: {}: {unknown}", source.path, line.trim())),
                );
            }
        }
    }
    assert!(held > 10, "only {held} claims are held");
    none("a file does not know what its header says it does not", offences);
}

#[test]
fn what_is_named_and_what_is_not_known_are_read_off_the_text() {
    assert_eq!(named_of_consensus("use raft_groups::{GroupId, ReadMode as Mode};"), ["GroupId", "ReadMode"]);
    assert_eq!(named_of_consensus("    raft_groups::Host::open(x, raft_groups::NodeId(1))"), ["Host", "NodeId"]);
    assert_eq!(
        unknowns("Reads. Must not know HTTP or JSON, which is its. Knows no clock."),
        ["Must not know HTTP or JSON", "nows no clock"]
    );
}
