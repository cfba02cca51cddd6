//! One connection of an attacker: what it sends, what it does then, and what it is owed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpSocket, TcpStream};

/// How long anything may take until a port that neither answers nor closes is given up on. Longer than every wait that a
/// node grants.
const PATIENCE: Duration = Duration::from_secs(180);
/// Bytes that a connection which is not read has room for at its reader.
const SMALL_BUFFER: u32 = 4 << 10;
/// Between two drops.
const DROP_EVERY: Duration = Duration::from_millis(500);

/// What an attacker does on one connection.
#[derive(Clone, Debug)]
pub struct AttackMove {
    /// For people.
    pub name: &'static str,
    /// What is sent first.
    pub bytes: Vec<u8>,
    /// What comes after that.
    pub then: Then,
    /// What the node owes the sender.
    pub owed: Owed,
}

/// What an attacker does once it has sent its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Reads until the node closes.
    Reads,
    /// Says that it sends no more, and reads until the node closes.
    ClosesHalf,
    /// Sends this again and again, and reads until the node closes.
    Drips(&'static [u8]),
    /// Reads nothing, for as long as it is let.
    Ignores,
}

/// What a node owes the sender of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// So many answers, the first of this status.
    Answers(u16, usize),
    /// One answer of 4xx, or no word and the end of the connection.
    Refusal,
    /// The end of the connection, without a word.
    End,
    /// Nothing that the sender would see.
    Nothing,
}

/// What attackers did to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections that the port took.
    pub connections: u64,
    /// Bytes that it took, and bytes that it sent.
    pub sent: u64,
    /// See `sent`.
    pub heard: u64,
}

/// Counts the [`Traffic`] of many at once.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    sent: AtomicU64,
    heard: AtomicU64,
}

impl Counters {
    /// What was counted so far.
    pub fn so_far(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { connections: of(&self.connections), sent: of(&self.sent), heard: of(&self.heard) }
    }
}

impl AttackMove {
    /// Makes the move; returns when the node has closed the connection, or never where the answer is ignored.
    ///
    /// # Errors
    /// A node that neither answers nor closes, or that does not give what it owes.
    pub async fn make(&self, address: SocketAddr, counters: &Counters) -> Result<()> {
        let socket = TcpSocket::new_v4()?;
        if self.then == Then::Ignores {
            socket.set_recv_buffer_size(SMALL_BUFFER)?;
        }
        // A port that is full takes a connection and closes it, or lets it wait.
        let Ok(mut stream) = socket.connect(address).await else { return Ok(()) };
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let Ok(said) = tokio::time::timeout(PATIENCE, self.converse(&mut stream, counters)).await else {
            bail!("{}: neither answered nor closed", self.name);
        };
        self.judge(&said)
    }

    /// What the node says until it closes. A connection that is reset while more is sent has ended as well.
    async fn converse(&self, stream: &mut TcpStream, counters: &Counters) -> Vec<u8> {
        let mut said = Vec::new();
        let (mut reader, mut writer) = stream.split();
        let speaks = async {
            let sent = send(&mut writer, &self.bytes, &counters.sent).await;
            match self.then {
                Then::ClosesHalf => drop(writer.shutdown().await),
                Then::Drips(drop) if sent.is_ok() => {
                    while send(&mut writer, drop, &counters.sent).await.is_ok() {
                        tokio::time::sleep(DROP_EVERY).await;
                    }
                }
                Then::Ignores => std::future::pending().await,
                Then::Reads | Then::Drips(_) => {}
            }
            std::future::pending::<()>().await;
        };
        let hears = async {
            if self.then == Then::Ignores {
                std::future::pending().await
            }
            // What came before a reset counts.
            while let Ok(1..) = reader.read_buf(&mut said).await.inspect(|more| {
                counters.heard.fetch_add(*more as u64, Ordering::Relaxed);
            }) {}
        };
        tokio::select! {
            () = speaks => {}
            () = hears => {}
        }
        said
    }

    fn judge(&self, said: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(said);
        // How many answers came, and the status of the first.
        let answers = text.matches("HTTP/1.").count();
        let status = text.get(9..12).and_then(|digits| digits.parse::<u16>().ok());
        let right = match self.owed {
            Owed::Answers(wanted, count) => status == Some(wanted) && answers == count,
            Owed::Refusal => {
                answers == 0 || (answers == 1 && status.is_some_and(|status| (400..500).contains(&status)))
            }
            Owed::End => answers == 0,
            Owed::Nothing => true,
        };
        // An answer may hold a whole collection; its beginning tells enough.
        let start: String = text.chars().take(600).collect();
        ensure!(right, "{}: {:?} was owed, and {answers} answers came: {start}", self.name, self.owed);
        Ok(())
    }
}

/// Sends all of `bytes`, and counts what the other side has taken of them.
async fn send(writer: &mut WriteHalf<'_>, bytes: &[u8], sent: &AtomicU64) -> std::io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = writer.write(rest).await?;
        sent.fetch_add(taken as u64, Ordering::Relaxed);
        rest = &rest[taken..];
    }
    Ok(())
}
