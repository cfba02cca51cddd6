//! Tests of clusters on binaries that are shell scripts.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// A binary that is a shell script.
fn script(dir: &Path, lines: &str) -> PathBuf {
    let path = dir.join("quiver");
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_node_that_ends_at_once_is_told_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let binary = script(dir.path(), "echo \"no room for $3\" >&2; exit 1");
    let mut cluster = TestCluster::prepare(Options::new("cluster-test", binary)).unwrap();
    cluster.launch(0, &[]).unwrap();
    let text = format!("{:#}", cluster.wait_healthy().await.unwrap_err());
    assert!(text.contains("node1 ended") && text.contains("no room for node1"), "{text}");
    cluster.finish().unwrap();
}

#[tokio::test]
async fn dropping_a_cluster_kills_its_nodes_and_a_panic_in_a_log_fails_it() {
    let dir = tempfile::tempdir().unwrap();
    let binary = script(dir.path(), "echo 'thread main panicked at src' >&2; exec sleep 600");
    let options = Options { patience: Duration::from_millis(300), ..Options::new("cluster-test", binary) };
    let mut cluster = TestCluster::prepare(options).unwrap();
    cluster.launch(0, &[]).unwrap();
    assert!(cluster.wait_healthy().await.unwrap_err().to_string().contains("not healthy"));
    let pid = cluster.nodes[0].process.as_ref().unwrap().pid();
    let logs = cluster.logs();
    assert!(cluster.finish().unwrap_err().to_string().contains("node1 panicked"));
    assert!(logs.join("node1.log").exists(), "a failed run keeps its logs");
    std::fs::remove_dir_all(logs.parent().unwrap()).unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}
