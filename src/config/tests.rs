//! Precedence, defaults and refusals of settings.

use super::*;
use clap::{Args, Command};
use std::io::Write;

/// Parses flags as the binary does, the environment left out.
fn server(flags: &[&str]) -> Result<ServerSettings, ConfigError> {
    let command = ServerArgs::augment_args(Command::new("server"));
    let matches = command.get_matches_from(std::iter::once(&"server").chain(flags));
    ServerArgs::read(&matches).unwrap().settle()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn without_flags_a_server_is_a_complete_store_of_one_node() {
    let settings = server(&[]).unwrap();
    assert_eq!(settings.origin, Origin::Unsaid);
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8001");
    assert_eq!(settings.peer_listen.to_string(), "127.0.0.1:8101");
    assert_eq!((settings.shards, settings.replication_factor), (8, None));
    assert!(settings.of_new_cluster.is_empty());
    assert_eq!(server(&["--shards", "8", "--bootstrap", "1"]).unwrap().of_new_cluster, ["--bootstrap", "--shards"]);
    assert_eq!(settings.limits, RequestLimits::default());
}

#[test]
fn a_flag_goes_over_the_file_and_the_file_over_the_default() {
    let file = file("shards = 4\nnode_id = \"node7\"\nbootstrap = 3\n");
    let path = file.path().to_str().unwrap();
    let settings = server(&["--config", path, "--shards", "16"]).unwrap();
    assert_eq!((settings.shards, settings.node_id.as_str()), (16, "node7"));
    assert_eq!(settings.origin, Origin::Bootstrap(3));
    let joining = server(&["--config", path, "--join", "http://127.0.0.1:9000/"]).unwrap();
    assert_eq!(joining.origin, Origin::Join(vec!["http://127.0.0.1:9000".into()]));
}

#[test]
fn what_answers_one_question_higher_up_silences_all_below() {
    for (text, flags, origin) in [
        ("bootstrap = 3", &["--join", "http://a:1"][..], Origin::Join(vec!["http://a:1".into()])),
        ("join = [\"http://b:1\"]", &["--bootstrap", "2"], Origin::Bootstrap(2)),
        ("join = [\"http://b:1\"]", &[], Origin::Join(vec!["http://b:1".into()])),
    ] {
        let file = file(text);
        let flags: Vec<&str> = ["--config", file.path().to_str().unwrap()].iter().chain(flags).copied().collect();
        assert_eq!(server(&flags).unwrap().origin, origin, "{text} {flags:?}");
    }
    let both = server(&["--bootstrap", "3", "--join", "http://a:1"]).unwrap_err().to_string();
    assert!(both.starts_with("--join") && both.contains("--bootstrap"), "{both}");
    assert!(both.contains("needs no --bootstrap any more"), "{both}");
}

#[test]
fn a_name_is_no_address_to_listen_at_and_the_hint_says_what_is() {
    let file = file("listen = \"localhost:8001\"\n");
    let error = server(&["--config", file.path().to_str().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:8001") && error.contains("--advertise"), "{error}");
    let command = ServerArgs::augment_args(Command::new("server"));
    let error = command.try_get_matches_from(["server", "--listen", "localhost:8001"]).unwrap_err().to_string();
    assert!(error.contains("--listen") && error.contains("127.0.0.1:8001"), "{error}");
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    let file = file("shards = 4\nshard_count = 4\n");
    let error = server(&["--config", file.path().to_str().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("shard_count") && error.contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn refusals_name_the_setting_and_the_way_out() {
    for (flags, setting) in [
        (&["--heartbeat-ms", "500"][..], "--heartbeat-ms"),
        (&["--election-max-ms", "500"], "--election-max-ms"),
        (&["--shards", "0"], "--shards"),
        (&["--node-id", "a b"], "--node-id"),
        (&["--listen", "0.0.0.0:8001"], "--advertise"),
        (&["--join", "https://node1:8001"], "--join"),
        (&["--bootstrap", "0"], "--bootstrap"),
        (&["--advertise", "0.0.0.0"], "--advertise"),
        (&["--advertise", "::"], "--advertise"),
        (&["--max-batch", "0"], "--max-batch"),
        (&["--listen", "127.0.0.1:65500"], "--peer-listen"),
    ] {
        let error = server(flags).unwrap_err().to_string();
        assert!(error.starts_with(setting), "{flags:?}: {error}");
    }
    assert!(server(&["--listen", "0.0.0.0:8001", "--advertise", "db1.example"]).is_ok());
}

#[test]
fn a_gateway_takes_several_nodes() {
    let args = GatewayArgs {
        cluster: Some(vec!["http://a:1".into(), "b:2".into(), "http://c:3/".into()]),
        ..Default::default()
    };
    assert_eq!(args.settle().unwrap().cluster, ["http://a:1", "http://b:2", "http://c:3"]);
    assert_eq!(server(&["--join", "a:1"]).unwrap().origin, Origin::Join(vec!["http://a:1".into()]));
    let args = GatewayArgs { cluster: Some(vec!["ftp://a:1".into()]), ..Default::default() };
    assert!(args.settle().unwrap_err().to_string().starts_with("--cluster"));
}
