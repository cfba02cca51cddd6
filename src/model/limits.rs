//! Every bound on what clients ask for and shards hold, by name. An error that refuses something for its size quotes one of
//! these, the document of the API names them, and the configuration starts from them.

/// Bytes of a request's body, unless the configuration says otherwise.
pub const DEFAULT_BODY_BYTES: usize = 32 << 20;
/// How long a request may take that names no `timeout_ms`, in milliseconds, unless the configuration says otherwise.
pub const DEFAULT_TIMEOUT_MS: u64 = 10_000;
/// The longest `timeout_ms`.
pub const MAX_TIMEOUT_MS: u64 = 600_000;
/// Searches of one request.
pub const MAX_SEARCHES: usize = 1_000;
/// Collections of a cluster: each node knows all of them, and each shard keeps settings of each.
pub const MAX_COLLECTIONS: usize = 10_000;
/// Shards of a cluster.
pub const MAX_SHARDS: u32 = 4_096;
/// Characters of the name of a node or a collection.
pub const MAX_NAME: usize = 255;
/// Entries of a replica's log that one request shows, and where it names no number.
pub const MAX_LOG_ENTRIES: u64 = 1_024;
/// See [`MAX_LOG_ENTRIES`].
pub const DEFAULT_LOG_ENTRIES: u64 = 64;
/// Results of a search or a scroll whose request names no limit.
pub const DEFAULT_LIMIT: usize = 10;
/// Components of the default vector where a request names no size: that of the common small sentence embeddings.
pub const DEFAULT_VECTOR_SIZE: usize = 384;

/// Components of one vector.
pub const MAX_VECTOR_SIZE: usize = 65_535;
/// Named vectors of one collection.
pub const MAX_VECTORS_PER_COLLECTION: usize = 64;
/// Bytes of a vector's name.
pub const MAX_VECTOR_NAME_BYTES: usize = 255;
/// Points written or deleted by one command.
pub const MAX_BATCH: usize = 10_000;
/// Bytes of one payload as compact JSON.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// Arrays and objects inside one another in a payload; the payload itself is the first.
pub const MAX_PAYLOAD_DEPTH: usize = 64;
/// Hits of one search, offset included, and points of one scroll or get.
pub const MAX_LIMIT: usize = 10_000;
/// The greatest `ef` hint of a search.
pub const MAX_EF: usize = 100_000;
/// The fewest and the most links of a vector in a graph (`m`).
pub const MIN_LINKS: usize = 4;
/// See [`MIN_LINKS`].
pub const MAX_LINKS: usize = 64;
/// The greatest `ef_construct` of a graph.
pub const MAX_EF_CONSTRUCT: usize = 2_000;
/// Filters inside one another; the outermost is the first.
pub const MAX_FILTER_DEPTH: usize = 16;
/// Conditions of a filter, those of its inner filters included.
pub const MAX_FILTER_CONDITIONS: usize = 1_000;
/// Values in one `any`, `except` or `has_id` list.
pub const MAX_FILTER_VALUES: usize = 10_000;
/// Bytes of one payload key path in a filter.
pub const MAX_PATH_BYTES: usize = 1_024;
/// How long a shard remembers what came of a request that a client has named, in milliseconds of its own time: longer
/// than the longest deadline (10 minutes) and what a sender's knowledge of that time may be old.
pub const REMEMBERED_MS: u64 = 15 * 60 * 1_000;
/// Requests that a shard remembers, counted apart for ids of clients and of gateways. It takes no new id beyond, since
/// to forget one early could let a retry undo newer writes.
pub const MAX_REMEMBERED_REQUESTS: usize = 1 << 19;
/// Requests that one command may make a shard forget: more than it adds, and little work.
pub const MAX_FORGOTTEN_AT_ONCE: usize = 64;
/// Payload fields of one collection that have an index.
pub const MAX_INDEXED_FIELDS: usize = 64;
