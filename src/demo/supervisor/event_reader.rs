//! Reads one node's events into the event log. After an interruption it goes on where it ended. After a restart of the
//! node it begins with the node's first event.
//!
//! In: the stream of `/quiver/v1/events`. Out: events, and an event that tells how many were missed. Understands none
//! of them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::api::events::GAP;
use crate::demo::supervisor::Supervisor;

/// Pause before a node that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// A stream that is silent for so long is given up. The server sends something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(40);

/// Follows a node's events for ever.
pub(crate) async fn follow(supervisor: Arc<Supervisor>, name: String) {
    // The life of the node, and the number of the last event that was read in it.
    let mut place = (0, None);
    loop {
        let life = supervisor.node(&name).map_or(0, |node| node.life);
        // A new life of the node counts its events anew.
        if place.0 != life {
            place = (life, None);
        }
        // The reason does not matter: the node is asked again.
        let _ = read(&supervisor, &name, &mut place.1).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads one stream until it ends. `last` is the number of the last event that was read; `None` before the first.
async fn read(supervisor: &Supervisor, name: &str, last: &mut Option<u64>) -> anyhow::Result<()> {
    let node = supervisor.node(name).ok_or_else(|| anyhow::anyhow!("there is no {name}"))?;
    // Number 0 asks for events from the first on: a node that has just started may vote before it is asked.
    let request = supervisor.streams.get(format!("{}/quiver/v1/events", node.url));
    let request = request.header("last-event-id", last.unwrap_or(0).to_string());
    let response = request.send().await?.error_for_status()?;
    // The node is new in this life, so it knows no faults of its links.
    if last.is_none() {
        supervisor.tell(json!({"kind": "node_up", "node": name}));
        supervisor.reapply(name);
    }
    let mut body = response.bytes_stream();
    let mut lines = Lines::default();
    // A stream that is silent for long is taken for dead. The caller asks again.
    while let Some(chunk) = tokio::time::timeout(SILENCE, body.next()).await? {
        for message in lines.take(&chunk?) {
            // Noted, so that the next stream goes on behind it.
            if let Some(seq) = message.data["seq"].as_u64() {
                *last = Some(seq);
            }
            match message.event.as_str() {
                GAP => supervisor.tell(json!({"kind": GAP, "node": name, "missed": message.data["missed"]})),
                _ => supervisor.add_node_event(message.data),
            }
        }
    }
    Ok(())
}

/// A server-sent event whose data is JSON.
#[derive(Debug, Default, PartialEq)]
struct Message {
    event: String,
    data: Value,
}

/// Splits a byte stream into messages.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    message: Message,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> Vec<Message> {
        self.rest.extend_from_slice(chunk);
        let mut messages = Vec::new();
        // A piece may end anywhere, so only whole lines are read.
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return messages };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            match line.split_once(": ") {
                Some(("event", event)) => self.message.event = event.to_owned(),
                Some(("data", data)) => self.message.data = serde_json::from_str(data).unwrap_or_default(),
                // An empty line ends a message.
                _ if line.is_empty() && !self.message.data.is_null() => {
                    messages.push(std::mem::take(&mut self.message))
                }
                _ => {}
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_together_from_whatever_pieces_they_come_in() {
        let text = b": hello\n\nid: 4\ndata: {\"seq\":4}\n\nevent: gap\ndata: {\"missed\":2}\n\ndata: {\"seq\":9";
        for size in [1, 3, 7, text.len()] {
            let mut lines = Lines::default();
            let messages: Vec<Message> = text.chunks(size).flat_map(|piece| lines.take(piece)).collect();
            let gap = Message { event: "gap".to_owned(), data: json!({"missed": 2}) };
            assert_eq!(messages, [Message { event: String::new(), data: json!({"seq": 4}) }, gap], "pieces of {size}");
        }
    }
}
