//! Tests of the command line: its exit codes, and what it says.

use clap::Parser;

use super::{JepsenCli, execute};

/// The exit code of a command.
fn code(args: &[&str]) -> u8 {
    let Ok(cli) = JepsenCli::try_parse_from([&["jepsen-lite"], args].concat()) else { return super::USAGE };
    execute(cli.verb).unwrap_or(super::USAGE)
}

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

const STALE: &str = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n\
                     {:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value nil}\n";

#[test]
fn verdicts_are_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let stale = file(&dir, "stale.edn", STALE);
    let fresh_text = STALE.replacen(":ok, :f :read, :value nil", ":ok, :f :read, :value 1", 1);
    let fresh = file(&dir, "fresh.edn", &fresh_text);
    let json = file(&dir, "stale.jsonl", &crate::judge::history::History::parse(STALE).unwrap().to_jsonl());
    assert_eq!(code(&["check", &stale, "--model", "register"]), 1);
    assert_eq!(code(&["check", &json, "--model", "cas-register"]), 1);
    assert_eq!(code(&["check", &fresh, "--model", "register"]), 0);
    // The same value twice: not for the zones.
    let twice = fresh_text.replace(":process 0", ":process 5") + &fresh_text;
    let twice = file(&dir, "twice.edn", &twice);
    assert_eq!(code(&["check", &twice, "--model", "register", "--max-steps", "1"]), 3);
    assert_eq!(code(&["check", &stale, "--model", "set"]), 2);
    assert_eq!(code(&["check", &stale, "--model", "toaster"]), 2);
    assert_eq!(code(&["check", &stale]), 2);
    assert_eq!(code(&["check", "no-such-file", "--model", "register"]), 2);
    let garbage = file(&dir, "garbage", "hello");
    assert_eq!(code(&["check", &garbage, "--model", "register"]), 2);
}

#[test]
fn a_failing_history_is_made_small_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let more = STALE
        .replace(":process 0", ":process 7")
        .replace(":value 1", ":value 2")
        .lines()
        .take(2)
        .collect::<Vec<_>>()
        .join("\n");
    let stale = file(&dir, "stale.edn", &format!("{STALE}{more}\n"));
    let (small, page) = (dir.path().join("small.edn"), dir.path().join("page.html"));
    let (small, page) = (small.to_str().unwrap(), page.to_str().unwrap());
    assert_eq!(code(&["shrink", &stale, "--model", "register", "--out", small]), 1);
    assert_eq!(std::fs::read_to_string(small).unwrap().lines().count(), 4);
    assert_eq!(code(&["check", small, "--model", "register"]), 1);
    assert_eq!(code(&["view", &stale, "--model", "register", "--out", page]), 1);
    assert!(std::fs::read_to_string(page).unwrap().contains("The smallest part that fails"));
    let fresh = file(&dir, "fresh.edn", &STALE.lines().take(2).collect::<Vec<_>>().join("\n"));
    assert_eq!(code(&["shrink", &fresh, "--model", "register"]), 0);
    assert_eq!(code(&["view", &fresh, "--model", "register", "--out", page]), 0);
    assert_eq!(code(&["view", &fresh, "--model", "register", "--out", "/no/such/place"]), 2);
}

#[test]
fn a_run_that_cannot_be_is_refused_before_anything_starts() {
    for wrong in [
        vec!["run"],
        vec!["run", "--workload", "set", "--level", "one"],
        vec!["run", "--workload", "register", "--nemesis", "earthquake"],
        vec!["run", "--workload", "register", "--nodes", "2"],
        vec!["run", "--workload", "register", "--binary", "Cargo.toml", "--nemesis", "kill-gateway"],
        vec!["run", "--workload", "register", "--binary", "Cargo.toml", "--through", "gateway", "--level", "one"],
        vec![
            "run",
            "--workload",
            "register",
            "--binary",
            "Cargo.toml",
            "--through",
            "gateway",
            "--nemesis",
            "cut-replies",
        ],
        vec!["run", "--workload", "register", "--binary", "/no/such/binary", "--seed", "1"],
        vec!["soak", "--workload", "register"],
        vec!["soak", "--workload", "register", "--hours", "-1", "--seed", "1"],
    ] {
        assert_eq!(code(&wrong), 2, "{wrong:?}");
    }
}
