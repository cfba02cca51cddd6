//! Settings of `quiver server`: who the node is, where it listens, where its data lives, how its cluster is formed.

use super::address::{advertised, check_url, optional_socket_address, peer_address, socket_address};
use super::{ConfigError, LogFormat, RequestLimits, lay_over, read_file, request_limits};
use crate::model::limits::MAX_SHARDS;
use crate::model::names::name_fault;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches as _};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Longest name that a node may be started with; the map holds longer ones too.
const MAX_NODE_NAME: usize = 64;

/// The flags, variables and TOML keys (the flag's name with `_`) of `quiver server`. What is absent takes its default.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerArgs {
    /// Read settings from this TOML file; its keys are these flags with `_` for `-`.
    #[arg(long, env = "QUIVER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// This node's name in its cluster [default: node1].
    #[arg(long, env = "QUIVER_NODE_ID", value_name = "NAME")]
    pub node_id: Option<String>,
    /// Address of the HTTP API; port 0 takes a free one [default: 127.0.0.1:8001].
    #[arg(long, env = "QUIVER_LISTEN", value_name = "ADDRESS", value_parser = socket_address)]
    #[serde(deserialize_with = "optional_socket_address")]
    pub listen: Option<SocketAddr>,
    /// Address for the other nodes [default: the API's address, port + 100].
    #[arg(long, env = "QUIVER_PEER_LISTEN", value_name = "ADDRESS", value_parser = socket_address)]
    #[serde(deserialize_with = "optional_socket_address")]
    pub peer_listen: Option<SocketAddr>,
    /// Host name or IP at which others reach this node [default: that of --listen].
    #[arg(long, env = "QUIVER_ADVERTISE", value_name = "HOST")]
    pub advertise: Option<String>,
    /// Directory of everything the node stores; made where absent [default: ./quiver-data].
    #[arg(long, env = "QUIVER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Form a new cluster of N nodes: this one and N-1 that --join it [default on an empty directory: 1].
    #[arg(long, env = "QUIVER_BOOTSTRAP", value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Join the cluster that the node at this URL forms or belongs to; repeat or separate by commas. A member says there where it is now.
    #[arg(long, env = "QUIVER_JOIN", value_name = "URL", value_delimiter = ',')]
    pub join: Option<Vec<String>>,
    /// Shards of a new cluster, fixed when it is formed [default: 8].
    #[arg(long, env = "QUIVER_SHARDS", value_name = "N")]
    pub shards: Option<u32>,
    /// Copies of each shard in a new cluster [default: 3, or the number of nodes where that is less].
    #[arg(long, env = "QUIVER_REPLICATION_FACTOR", value_name = "N")]
    pub replication_factor: Option<usize>,
    /// How often an idle leader of a new cluster proves that it is alive, in milliseconds [default: 150].
    #[arg(long, env = "QUIVER_HEARTBEAT_MS", value_name = "MS")]
    pub heartbeat_ms: Option<u64>,
    /// Shortest silence after which a follower of a new cluster stands for election, in milliseconds [default: 500].
    #[arg(long, env = "QUIVER_ELECTION_MIN_MS", value_name = "MS")]
    pub election_min_ms: Option<u64>,
    /// Longest such silence, in milliseconds [default: 1000].
    #[arg(long, env = "QUIVER_ELECTION_MAX_MS", value_name = "MS")]
    pub election_max_ms: Option<u64>,
    /// Log entries of a shard after which it takes a snapshot and purges its log [default: 5000].
    #[arg(long, env = "QUIVER_SNAPSHOT_AFTER", value_name = "ENTRIES")]
    pub snapshot_after: Option<u64>,
    /// Log entries kept behind a snapshot, for replicas that lag a little [default: 2000, or half of --snapshot-after where that is less].
    #[arg(long, env = "QUIVER_KEEP_ENTRIES", value_name = "ENTRIES")]
    pub keep_entries: Option<u64>,
    /// Silence after which a node counts as lost and its replicas are made anew where there is room, in milliseconds [default: 600000].
    #[arg(long, env = "QUIVER_NODE_LOST_AFTER_MS", value_name = "MS")]
    pub node_lost_after_ms: Option<u64>,
    /// Time within which an adopted node must come up before it is given up, in milliseconds [default: 60000].
    #[arg(long, env = "QUIVER_JOIN_WITHIN_MS", value_name = "MS")]
    pub join_within_ms: Option<u64>,
    /// Most shards whose replicas are moved at once [default: 2].
    #[arg(long, env = "QUIVER_MAX_MOVES", value_name = "SHARDS")]
    pub max_moves: Option<usize>,
    /// Most bytes a second that this node sends of the replicas it copies to other nodes, all together [default: 33554432].
    #[arg(long, env = "QUIVER_MOVE_RATE_BYTES", value_name = "BYTES")]
    pub move_rate_bytes: Option<u64>,
    /// Threads that take new vectors into the index [default: half of the processors, at least 1].
    #[arg(long, env = "QUIVER_INDEX_THREADS", value_name = "N")]
    pub index_threads: Option<usize>,
    /// Share of its time that each of them works, above 0 and up to 1 [default: 1].
    #[arg(long, env = "QUIVER_INDEX_SHARE", value_name = "SHARE")]
    pub index_share: Option<f64>,
    /// Largest request body, in bytes [default: 33554432].
    #[arg(long, env = "QUIVER_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,
    /// Bytes that the bodies of all requests may take together [default: an eighth of the memory].
    #[arg(long, env = "QUIVER_BODY_MEMORY", value_name = "BYTES")]
    pub body_memory: Option<usize>,
    /// A name that clients reach this process by, beside localhost, addresses and --advertise; repeat or separate by commas.
    #[arg(long, env = "QUIVER_ALLOW_HOST", value_name = "HOST", value_delimiter = ',')]
    pub allow_host: Option<Vec<String>>,
    /// Most points in one write [default: 10000].
    #[arg(long, env = "QUIVER_MAX_BATCH", value_name = "POINTS")]
    pub max_batch: Option<usize>,
    /// Most results of one search or scroll, offset included [default: 10000].
    #[arg(long, env = "QUIVER_MAX_LIMIT", value_name = "RESULTS")]
    pub max_limit: Option<usize>,
    /// Deadline of requests that name none, in milliseconds [default: 10000].
    #[arg(long, env = "QUIVER_REQUEST_TIMEOUT_MS", value_name = "MS")]
    pub request_timeout_ms: Option<u64>,
    /// How logs are written to stderr [default: text].
    #[arg(long, env = "QUIVER_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Let tests cut this node's links through /quiver/v1/faults. Never in production.
    #[arg(long, env = "QUIVER_TEST_FAULTS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide = true,
          value_parser = clap::builder::BoolishValueParser::new())]
    pub test_faults: Option<bool>,
}

/// How a node with an empty data directory gets its cluster; a node that has one ignores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is said of it: it forms a cluster of its own where nobody else can call it, and none elsewhere.
    Unsaid,
    /// It forms a new cluster of this many nodes.
    Bootstrap(usize),
    /// It joins the cluster that a node at one of these URLs forms or belongs to; there is one at least.
    Join(Vec<String>),
}

/// Complete and checked settings of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// This node's name.
    pub node_id: String,
    /// Address of the HTTP API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address for the other nodes; port 0 takes a free one.
    pub peer_listen: SocketAddr,
    /// Host name or IP at which others reach both ports.
    pub advertise: String,
    /// Directory of everything the node stores.
    pub data_dir: PathBuf,
    /// How the node gets its cluster where its directory is empty.
    pub origin: Origin,
    /// Which settings of a new cluster were given, as the flags are called: none of them changes a cluster that exists.
    pub of_new_cluster: Vec<&'static str>,
    /// Shards of a new cluster.
    pub shards: u32,
    /// Copies of each shard in a new cluster; `None` means 3, or the number of nodes where that is less.
    pub replication_factor: Option<usize>,
    /// How often an idle leader proves that it is alive.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// Longest such silence.
    pub election_max: Duration,
    /// Log entries of a shard after which it takes a snapshot.
    pub snapshot_after: u64,
    /// Log entries kept behind a snapshot.
    pub keep_entries: u64,
    /// Silence after which a node counts as lost.
    pub node_lost_after: Duration,
    /// Time within which an adopted node must come up.
    pub join_within: Duration,
    /// Most shards whose replicas are moved at once.
    pub moves: usize,
    /// Most bytes a second sent of one replica that is copied.
    pub move_rate: u64,
    /// Threads that take new vectors into the index.
    pub index_threads: usize,
    /// Share of its time that each of them works.
    pub index_share: f64,
    /// Bounds on one request.
    pub limits: RequestLimits,
    /// Names that clients reach this process by, beside those that are known anyway.
    pub hosts: Vec<String>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Whether tests may cut this node's links.
    pub test_faults: bool,
}

impl ServerArgs {
    /// Lays the TOML file, if any, under these flags and variables, fills in the defaults, and checks the whole.
    ///
    /// # Errors
    /// Whatever keeps the settings from being used.
    pub fn settle(mut self) -> Result<ServerSettings, ConfigError> {
        if let Some(path) = self.config.take() {
            self.lay_over(read_file(&path)?);
        }
        self.complete()
    }

    /// Reads the arguments that `matches` holds. Where `--bootstrap` and `--join`, which answer one question, are given by a
    /// flag and by a variable, the flag's answer counts.
    ///
    /// # Errors
    /// As the derived reading.
    pub fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::from_arg_matches(matches)?;
        let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (is_flag("bootstrap"), is_flag("join")) {
            (true, false) => args.join = None,
            (false, true) => args.bootstrap = None,
            (true, true) | (false, false) => {}
        }
        Ok(args)
    }

    fn lay_over(&mut self, mut file: Self) {
        // One question, two spellings: what answers it above the file silences the file.
        if self.join.is_some() || self.bootstrap.is_some() {
            (file.bootstrap, file.join) = (None, None);
        }
        lay_over!(
            self,
            file,
            node_id,
            listen,
            peer_listen,
            advertise,
            data_dir,
            bootstrap,
            join,
            shards,
            replication_factor,
            heartbeat_ms,
            election_min_ms,
            election_max_ms,
            snapshot_after,
            keep_entries,
            node_lost_after_ms,
            join_within_ms,
            max_moves,
            move_rate_bytes,
            index_threads,
            index_share,
            max_body_bytes,
            body_memory,
            allow_host,
            max_batch,
            max_limit,
            request_timeout_ms,
            log_format,
            test_faults,
        );
    }

    fn of_new_cluster(&self) -> Vec<&'static str> {
        let given = [
            ("--bootstrap", self.bootstrap.is_some()),
            ("--join", self.join.is_some()),
            ("--shards", self.shards.is_some()),
            ("--replication-factor", self.replication_factor.is_some()),
            ("--heartbeat-ms", self.heartbeat_ms.is_some()),
            ("--election-min-ms", self.election_min_ms.is_some()),
            ("--election-max-ms", self.election_max_ms.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
    }

    fn complete(self) -> Result<ServerSettings, ConfigError> {
        let listen = self.listen.unwrap_or_else(|| ([127, 0, 0, 1], 8001).into());
        let snapshot_after = self.snapshot_after.unwrap_or(5000);
        let of_new_cluster = self.of_new_cluster();
        let millis = |value: Option<u64>, default| Duration::from_millis(value.unwrap_or(default));
        let settings = ServerSettings {
            node_id: node_name(self.node_id.unwrap_or_else(|| "node1".into()))?,
            listen,
            peer_listen: peer_address(self.peer_listen, listen)?,
            advertise: advertised(self.advertise, listen)?,
            data_dir: self.data_dir.unwrap_or_else(|| "quiver-data".into()),
            origin: origin(self.bootstrap, self.join)?,
            of_new_cluster,
            shards: self.shards.unwrap_or(8),
            replication_factor: self.replication_factor,
            heartbeat: millis(self.heartbeat_ms, 150),
            election_min: millis(self.election_min_ms, 500),
            election_max: millis(self.election_max_ms, 1000),
            snapshot_after,
            keep_entries: self.keep_entries.unwrap_or(2000.min(snapshot_after / 2)),
            node_lost_after: millis(self.node_lost_after_ms, 600_000),
            join_within: millis(self.join_within_ms, 60_000),
            moves: self.max_moves.unwrap_or(2),
            move_rate: self.move_rate_bytes.unwrap_or(32 << 20),
            index_threads: self.index_threads.unwrap_or_else(half_of_the_processors),
            index_share: self.index_share.unwrap_or(1.0),
            limits: request_limits(
                self.max_body_bytes,
                self.max_batch,
                self.max_limit,
                self.request_timeout_ms,
                self.body_memory,
            )?,
            hosts: self.allow_host.unwrap_or_default(),
            log_format: self.log_format.unwrap_or_default(),
            test_faults: self.test_faults.unwrap_or(false),
        };
        settings.check()
    }
}

impl ServerSettings {
    fn check(self) -> Result<Self, ConfigError> {
        if !(1..=MAX_SHARDS).contains(&self.shards) {
            let reason = format!("{} is out of range: choose 1 to {MAX_SHARDS}", self.shards);
            return Err(ConfigError::invalid("--shards", reason));
        }
        if let Some(copies) = self.replication_factor
            && !(1..=7).contains(&copies)
        {
            return Err(ConfigError::invalid(
                "--replication-factor",
                format!("{copies} is out of range: choose 1 to 7"),
            ));
        }
        if self.heartbeat < Duration::from_millis(10) || self.heartbeat * 3 > self.election_min {
            let reason = format!(
                "a follower would take a late heartbeat for a dead leader: keep it at 10 or above, and at most a third of \
                 --election-min-ms ({} ms)",
                self.election_min.as_millis()
            );
            return Err(ConfigError::invalid("--heartbeat-ms", reason));
        }
        if self.election_max <= self.election_min {
            let reason = "must exceed --election-min-ms: elections need different patience to be decided";
            return Err(ConfigError::invalid("--election-max-ms", reason));
        }
        if self.election_max > Duration::from_secs(60) {
            return Err(ConfigError::invalid("--election-max-ms", "must not be above 60000: lower it"));
        }
        if self.node_lost_after < self.election_max * 2 {
            let reason = format!(
                "a node that only restarts would be replaced: keep it at or above twice --election-max-ms ({} ms)",
                self.election_max.as_millis()
            );
            return Err(ConfigError::invalid("--node-lost-after-ms", reason));
        }
        if self.join_within < Duration::from_secs(1) {
            return Err(ConfigError::invalid("--join-within-ms", "no node is up so soon: choose 1000 or more"));
        }
        if self.moves == 0 {
            return Err(ConfigError::invalid("--max-moves", "nothing could ever be repaired: choose at least 1"));
        }
        if self.move_rate < 64 << 10 {
            return Err(ConfigError::invalid(
                "--move-rate-bytes",
                "no replica would ever arrive: choose 65536 or more",
            ));
        }
        if self.snapshot_after == 0 {
            return Err(ConfigError::invalid("--snapshot-after", "must be at least 1 entry"));
        }
        if !(1..=256).contains(&self.index_threads) {
            let reason = format!("{} is out of range: choose 1 to 256", self.index_threads);
            return Err(ConfigError::invalid("--index-threads", reason));
        }
        if !(self.index_share > 0.0 && self.index_share <= 1.0) {
            let reason = format!("{} is out of range: choose above 0 and up to 1", self.index_share);
            return Err(ConfigError::invalid("--index-share", reason));
        }
        Ok(self)
    }
}

fn half_of_the_processors() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get() / 2).max(1)
}

fn node_name(name: String) -> Result<String, ConfigError> {
    if name.len() <= MAX_NODE_NAME && name_fault(&name).is_none() {
        return Ok(name);
    }
    let but = if name.starts_with('.') { ", and no dot first" } else { "" };
    let reason = format!("`{name}` is no node name: use 1 to {MAX_NODE_NAME} letters, digits, `-`, `_`, `.`{but}");
    Err(ConfigError::invalid("--node-id", reason))
}

fn origin(bootstrap: Option<usize>, join: Option<Vec<String>>) -> Result<Origin, ConfigError> {
    match (bootstrap, join) {
        (Some(_), Some(_)) => Err(ConfigError::invalid(
            "--join",
            "a node joins a cluster or forms one: leave --bootstrap (QUIVER_BOOTSTRAP) out, or this",
        )),
        (None, Some(urls)) if urls.is_empty() => Ok(Origin::Unsaid),
        (None, Some(urls)) => {
            Ok(Origin::Join(urls.iter().map(|url| check_url("--join", url)).collect::<Result<_, _>>()?))
        }
        (Some(0), None) => Err(ConfigError::invalid("--bootstrap", "a cluster has at least 1 node")),
        (Some(nodes), None) => Ok(Origin::Bootstrap(nodes)),
        (None, None) => Ok(Origin::Unsaid),
    }
}
