//! What is no URL, and what is told of endpoints that do not answer.

use super::*;

#[test]
fn what_cannot_be_called_is_an_error_of_the_command_line() {
    for (url, wanted) in [
        ("127.0.0.1:8001", Some("http://127.0.0.1:8001")),
        (" http://a:1/ ", Some("http://a:1")),
        ("node1", Some("http://node1")),
        ("http://", None),
        ("", None),
        ("ftp://a:1", None),
        ("http://a:port", None),
    ] {
        assert_eq!(whole(url).ok().as_deref(), wanted, "{url}");
    }
    let error = Client::new(&["http://".to_owned()]).err().expect("no address");
    assert!(error.is::<UnusableInput>(), "{error}");
}

/// A server at a free port that takes requests, and answers them with `answer` or never.
async fn server(answer: Option<&'static str>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 4096]).await);
            if let Some(body) = answer {
                let head = format!("HTTP/1.1 503 No\r\ncontent-length: {}\r\n\r\n", body.len());
                drop(stream.write_all((head + body).as_bytes()).await);
            }
            open.push(stream);
        }
    });
    url
}

#[tokio::test]
async fn each_silent_endpoint_is_named_with_its_own_reason() {
    let hung = server(None).await;
    let urls = [hung.clone(), "http://127.0.0.1:1".to_owned()];
    let client = Client::new(&urls).expect("addresses").with_look_timeout(Duration::from_secs(1));
    for failure in [
        client.get::<serde_json::Value>("/collections").await.expect_err("nobody answers"),
        client.page::<serde_json::Value>("/cluster/health").await.expect_err("nobody answers"),
    ] {
        let text = failure.to_string();
        assert!(text.contains(&format!("{hung} (nothing within 1 s), http://127.0.0.1:1 (")), "{text}");
        assert!(text.contains("longer with --timeout") && !failure.outcome_unknown(), "{text}");
    }
    let nobody = Client::new(&urls[1..]).expect("an address");
    let text = nobody.get::<serde_json::Value>("/collections").await.expect_err("nobody is there").to_string();
    assert!(text.ends_with("name a node or gateway that runs with --url"), "{text}");
}

#[tokio::test]
async fn an_answer_says_more_of_a_read_than_silence() {
    let (hung, refuses) = (server(None).await, server(Some("no quorum")).await);
    let urls = [refuses, hung];
    let client = Client::new(&urls).expect("addresses").with_look_timeout(Duration::from_secs(1));
    let failure = client.get::<serde_json::Value>("/collections").await.expect_err("both fail");
    assert!(matches!(failure, Failure::Foreign { http: 503, .. }), "{failure}");
}
