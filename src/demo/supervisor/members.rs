//! Has nodes leave the cluster and come back as new ones, through the same API that an operator uses.
//!
//! In: the name of a node. Out: requests of the API. Their operations are watched to the end. Moves no replica itself.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::demo::supervisor::refused::{Refused, answered};
use crate::demo::supervisor::{ProcessState, Supervisor};

/// How long a node may take to leave or to join.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at an operation, or two tries to begin one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Has a node leave the cluster, and waits until it has left.
    pub async fn remove(&self, name: &str) -> Result<String, Refused> {
        self.known(name)?;
        let change = self.insist(name, |url| self.http.delete(format!("{url}/cluster/nodes/{name}"))).await?;
        self.ended(name, &change).await?;
        self.tell(json!({"kind": "node_removed", "node": name}));
        Ok(format!("{name} has left the cluster"))
    }

    /// Kills a node, has it leave the cluster, erases its data, and has it join as a new one. The other nodes must have
    /// a majority.
    pub async fn wipe(&self, name: &str) -> Result<String, Refused> {
        if self.known(name)?.state != ProcessState::Down {
            self.kill(name).await?;
        }
        // It leaves before its data goes: no member ever comes back without what it has promised.
        if self.is_member(name).await? {
            self.remove(name).await?;
        }
        self.adopt_anew(name).await?;
        Ok(format!("{name} lost its data and joined as a new node"))
    }

    /// Starts a node that is no member without its data, and has the cluster take it in.
    pub async fn adopt_anew(&self, name: &str) -> Result<(), Refused> {
        let (_, endpoint) = self.another(name)?;
        self.renew(name, endpoint.url).await?;
        let node = self.known(name)?;
        let port = node.url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let body = json!({"node_id": name, "host": "127.0.0.1", "port": port});
        let change = self.insist(name, |url| self.http.post(format!("{url}/cluster/nodes")).json(&body)).await?;
        self.ended(name, &change).await
    }

    async fn is_member(&self, name: &str) -> Result<bool, Refused> {
        let (_, endpoint) = self.another(name)?;
        let members = answered(self.http.get(format!("{}/cluster/nodes", endpoint.url)).send().await?).await?;
        Ok(members["nodes"].as_array().into_iter().flatten().any(|node| node["id"] == name))
    }

    /// Asks for a change of members until it has begun. A node that was just killed still counts for a while, and a
    /// node that was just started does not answer yet.
    async fn insist(&self, name: &str, request: impl Fn(&str) -> reqwest::RequestBuilder) -> Result<Value, Refused> {
        let start = Instant::now();
        loop {
            // The node itself is not asked: it may be down, and the others decide about it.
            let (_, endpoint) = self.another(name)?;
            let asked = match request(&endpoint.url).send().await {
                Ok(response) => answered(response).await,
                Err(error) => Err(error.into()),
            };
            match asked {
                Err(_) if start.elapsed() < PATIENCE => tokio::time::sleep(LOOK_EVERY).await,
                asked => return asked,
            }
        }
    }

    /// Waits until the operation that a change began has ended well.
    async fn ended(&self, name: &str, change: &Value) -> Result<(), Refused> {
        let Some(operation) = change["operation_id"].as_str() else { return Ok(()) };
        let start = Instant::now();
        loop {
            let (_, endpoint) = self.another(name)?;
            let asked = self.http.get(format!("{}/quiver/v1/operations/{operation}", endpoint.url)).send().await;
            let row = match asked {
                Ok(response) => answered(response).await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            match row["state"].as_str() {
                Some("done") => return Ok(()),
                // No answer means that the asked node is busy or was killed; another is asked next.
                Some("running") | None if start.elapsed() < PATIENCE => tokio::time::sleep(LOOK_EVERY).await,
                _ => return Err(Refused::Conflict(format!("the change of members did not end well: {row}"))),
            }
        }
    }
}
