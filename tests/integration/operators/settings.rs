//! Flags, variables and the file, for every setting that `--help` names: a flag goes over a variable, and an empty variable
//! is none. Each command ends at a setting that cannot be, after all others were read.

use anyhow::{Context, Result, ensure};
use jepsen_lite::cluster::TestCluster;
use jepsen_lite::process::{Finished, run};

use crate::support::{PATIENCE, single};

/// A setting as `--help` shows it: flag, name of its value, variable.
type Setting = (String, String, String);

fn settings(help: &str) -> Vec<Setting> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in help.lines().map(str::trim) {
        if let Some(flag) = line.strip_prefix("--") {
            last = flag.split_once(" <").map(|(flag, value)| (format!("--{flag}"), value.replace('>', "")));
        }
        let variable = line.split_once("[env: ").and_then(|(_, rest)| rest.split('=').next());
        if let (Some(variable), Some((flag, value))) = (variable, &last) {
            found.push((flag.clone(), value.clone(), variable.to_owned()));
        }
    }
    found
}

async fn with(cluster: &TestCluster, args: &[&str], variables: &[(&str, &str)]) -> Result<Finished> {
    let mut command = cluster.verb(args);
    command.envs(variables.iter().copied());
    let finished = run(command, PATIENCE).await?;
    ensure!(finished.code == Some(2), "{args:?} under {variables:?} should end as a usage error: {finished:?}");
    Ok(finished)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flag_goes_over_its_variable_and_every_empty_variable_is_none() -> Result<()> {
    let cluster = TestCluster::prepare(single("settings"))?;
    for (verb, least, (flag, wrong)) in [("server", 25, ("--shards", "0")), ("gateway", 9, ("--max-batch", "0"))] {
        let help = run(cluster.verb(&[verb, "--help"]), PATIENCE).await?;
        let settings = settings(&help.stdout);
        ensure!(settings.len() >= least, "only {settings:?} in\n{}", help.stdout);
        let all: Vec<(&str, &str)> = settings.iter().map(|(_, _, name)| (name.as_str(), "")).collect();
        for variables in all.iter().map(std::slice::from_ref).chain([all.as_slice()]) {
            let refused = with(&cluster, &[verb, flag, wrong], variables).await?;
            ensure!(refused.stderr.starts_with(&format!("error: {flag}: ")), "{variables:?}: {refused:?}");
        }
        for (own, value, variable) in &settings {
            let good = match value.as_str() {
                "ADDRESS" => "127.0.0.1:0",
                "FORMAT" => "json",
                "URL" => "http://127.0.0.1:1",
                "HOST" | "NAME" | "DIR" | "FILE" => "name",
                _ => "5000",
            };
            let given = if own == flag { vec![verb, flag, wrong] } else { vec![verb, flag, wrong, own, good] };
            let refused = with(&cluster, &given, &[(variable, "no such thing")]).await?;
            ensure!(!refused.stderr.contains("no such thing"), "{variable} goes over {own}: {refused:?}");
        }
    }
    let status = run(cluster.verb(&["status", "--url", "127.0.0.1:1"]), PATIENCE).await?;
    ensure!(status.code == Some(7), "an address without a scheme is one: {status:?}");
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_forms_or_joins_is_said_by_the_highest_that_says_it() -> Result<()> {
    let cluster = TestCluster::prepare(single("origin"))?;
    let file = cluster.logs().join("joins.toml");
    std::fs::write(&file, "join = [\"in the file\"]\n").context("the file")?;
    let file = file.to_string_lossy().into_owned();
    let dir = cluster.logs().join("data").to_string_lossy().into_owned();
    // Each answer is one that cannot be, so that what is refused tells whose answer counted.
    let (forms, joins) = (("QUIVER_BOOTSTRAP", "0"), ("QUIVER_JOIN", "in the variable"));
    for (args, variables, counts) in [
        (vec!["--join", "in the flag"], vec![forms], "`in the flag`"),
        (vec!["--bootstrap", "0"], vec![joins], "--bootstrap: a cluster has"),
        (vec!["--join", "in the flag", "--config", &file], vec![forms, joins], "`in the flag`"),
        (vec!["--config", &file], vec![forms], "--bootstrap: a cluster has"),
        (vec!["--config", &file], vec![joins], "`in the variable`"),
        (vec!["--config", &file], vec![("QUIVER_JOIN", ""), ("QUIVER_BOOTSTRAP", "")], "`in the file`"),
        (vec![], vec![forms, joins], "QUIVER_BOOTSTRAP"),
        (vec!["--join", "in the flag", "--bootstrap", "0"], vec![], "leave --bootstrap"),
    ] {
        let args: Vec<&str> = ["server", "--data-dir", &dir].into_iter().chain(args).collect();
        let refused = with(&cluster, &args, &variables).await?;
        ensure!(refused.stderr.contains(counts), "{args:?} under {variables:?}: {refused:?}");
    }
    cluster.finish()
}
