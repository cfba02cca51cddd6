//! The attacks: sockets, and what is said on them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Attackers;

/// Between two drops.
const DROP: Duration = Duration::from_secs(1);

/// A way to cost a node something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Attack {
    /// Connections that never say a word.
    Idle,
    /// Heads that come by drops and never end.
    SlowHead,
    /// Bodies that come by drops.
    SlowBody,
    /// Bodies of which most has come, and the rest never does.
    HalfBody,
    /// Bodies of a gibibyte that are announced and do not come.
    Announced,
    /// Long answers that nobody reads.
    SlowReader,
    /// Heads with more headers than anybody needs.
    HeaderFlood,
    /// Requests sent one after the other without waiting for an answer.
    Pipelined,
    /// Bodies that are only brackets.
    DeepJson,
    /// Bodies that claim to be packed.
    Packed,
    /// Chunks with endless extensions.
    ChunkExtensions,
    /// A length and chunks at once, the way to smuggle.
    TwoLengths,
    /// Bytes that are no text, everywhere.
    Garbage,
    /// Writes from a page of another site, and under another name.
    CrossSite,
}

impl Attack {
    /// What it is called in tables.
    pub fn told(self) -> &'static str {
        match self {
            Self::Idle => "2,000 silent sockets",
            Self::SlowHead => "1,000 heads by drops",
            Self::SlowBody => "1,000 bodies by drops",
            Self::HalfBody => "40 half bodies of 30 MiB",
            Self::Announced => "1,000 announce 1 GiB",
            Self::SlowReader => "200 do not read 8 MB",
            Self::HeaderFlood => "heads of 1,000 headers",
            Self::Pipelined => "pipelined requests",
            Self::DeepJson => "JSON of brackets",
            Self::Packed => "packed bodies",
            Self::ChunkExtensions => "chunk extensions",
            Self::TwoLengths => "two lengths",
            Self::Garbage => "no text anywhere",
            Self::CrossSite => "pages of other sites",
        }
    }

    /// Attacks the node at `address` until the set is dropped.
    pub(super) fn begin(self, address: SocketAddr) -> Attackers {
        let mut attackers = Attackers::new();
        for number in 0..self.many() {
            attackers.spawn(async move {
                loop {
                    // One that is sent away comes again, though not at once: the attacker has two cores as well.
                    let _sent_away = self.once(address, number).await;
                    tokio::time::sleep(self.pause()).await;
                }
            });
        }
        attackers
    }

    fn many(self) -> usize {
        match self {
            Self::Idle => 2_000,
            Self::SlowHead | Self::SlowBody | Self::Announced => 1_000,
            Self::SlowReader => 200,
            Self::HalfBody => 40,
            _ => 4,
        }
    }

    fn pause(self) -> Duration {
        match self {
            Self::Idle | Self::SlowHead | Self::SlowBody | Self::Announced | Self::SlowReader | Self::HalfBody => DROP,
            _ => Duration::from_millis(20),
        }
    }

    async fn once(self, address: SocketAddr, number: usize) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        let post = |more: &str| {
            format!("POST /vectors HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{more}\r\n")
        };
        match self {
            Self::Idle => {}
            Self::SlowHead => {
                stream.write_all(b"GET / HTTP/1.1\r\n").await?;
                drip(&mut stream, b"x").await?;
            }
            Self::SlowBody => {
                stream.write_all(post("content-length: 33554432\r\n").as_bytes()).await?;
                drip(&mut stream, b" ").await?;
            }
            Self::HalfBody => {
                stream.write_all(post("content-length: 33554432\r\n").as_bytes()).await?;
                stream.write_all(&vec![b' '; 30 << 20]).await?;
            }
            Self::Announced => stream.write_all(post("content-length: 1073741824\r\n").as_bytes()).await?,
            Self::SlowReader => {
                let body = r#"{"collection":"h","limit":400}"#;
                let head =
                    post(&format!("content-length: {}\r\n", body.len())).replace("/vectors", "/quiver/v1/scroll");
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
                // Its answer is not read, as long as the node bears it.
                return stays(&mut stream).await;
            }
            Self::HeaderFlood => {
                let headers: String = (0..1_000).map(|number| format!("x-{number}: {}\r\n", "y".repeat(200))).collect();
                return ask(&mut stream, format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
            }
            Self::Pipelined => {
                let one = format!("GET /vectors/h/{number} HTTP/1.1\r\nhost: {address}\r\n\r\n");
                return ask(&mut stream, one.repeat(100).as_bytes()).await;
            }
            Self::DeepJson => {
                let body = format!(r#"{{"collection":"h","vectors":{}"#, "[".repeat(200_000));
                let head = post(&format!("content-length: {}\r\n", body.len()));
                return ask(&mut stream, format!("{head}{body}").as_bytes()).await;
            }
            Self::Packed => {
                let head = post("content-encoding: gzip\r\ncontent-length: 1000\r\n");
                return ask(&mut stream, &[head.as_bytes(), &[0x1f; 1_000]].concat()).await;
            }
            Self::ChunkExtensions => {
                let chunk = format!("1;{}\r\n \r\n", "e".repeat(4_000));
                return ask(&mut stream, (post("transfer-encoding: chunked\r\n") + &chunk.repeat(50)).as_bytes()).await;
            }
            Self::TwoLengths => {
                let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n";
                let head = post("transfer-encoding: chunked\r\ncontent-length: 5\r\n");
                return ask(&mut stream, (head + smuggled).as_bytes()).await;
            }
            Self::Garbage => {
                let line =
                    [&b"GET /vectors/\xff\x00/%00%ff HTTP/1.1\r\nhost: \xfe\r\nx: \x01\r\n\r\n\xff\x00"[..], b"\xff"];
                return ask(&mut stream, &line[number % 2..].concat()).await;
            }
            Self::CrossSite => {
                let more = ["origin: http://evil.example\r\nsec-fetch-site: cross-site\r\n", "x: y\r\n"][number % 2];
                let head = post(&format!("{more}content-length: 2\r\n"));
                let head = if number % 2 == 1 { head.replace(&address.to_string(), "evil.example") } else { head };
                return ask(&mut stream, format!("{head}{{}}").as_bytes()).await;
            }
        }
        gone(&mut stream).await
    }
}

/// A byte now and then, until the node has enough.
async fn drip(stream: &mut TcpStream, drop: &[u8]) -> std::io::Result<()> {
    loop {
        tokio::time::sleep(DROP).await;
        stream.write_all(drop).await?;
    }
}

/// Waits until the node ends the connection.
async fn gone(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut taken = [0; 1 << 10];
    while stream.read(&mut taken).await? > 0 {}
    Ok(())
}

/// Waits until the node ends the connection, and reads nothing.
async fn stays(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        tokio::time::sleep(DROP).await;
        stream.write_all(b" ").await?;
    }
}

/// Sends, and reads for a moment what comes.
async fn ask(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    let _over = tokio::time::timeout(Duration::from_millis(200), gone(stream)).await;
    Ok(())
}
