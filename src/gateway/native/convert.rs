//! Wire types ⇄ the engine's and routing's. Dull, and nearly total: but for paths, what can be wrong is checked elsewhere.

use crate::api::{self, WithPayload, WithVector};
use crate::engine::{self, DEFAULT_VECTOR, Path, Payload, PayloadSelector, PointWrite, VectorSelector};
use crate::gateway::http::error::ApiError;
use crate::placement::ShardId;
use crate::routing::ShardEvidence;

impl From<api::VectorSettings> for engine::VectorParams {
    fn from(params: api::VectorSettings) -> Self {
        let mut engine = Self::new(params.size, params.distance);
        // What the client leaves open is the engine's default.
        engine.quantization = params.quantization.unwrap_or(engine.quantization);
        let index = params.index.unwrap_or_default();
        let usual = engine::GraphParams::default();
        let graph = engine::GraphParams {
            m: index.m.unwrap_or(usual.m),
            ef_construct: index.ef_construct.unwrap_or(usual.ef_construct),
        };
        // The one other kind of index is none: every search then looks at all vectors.
        engine.graph = (index.kind == api::IndexKind::Hnsw).then_some(graph);
        engine
    }
}

impl From<engine::VectorParams> for api::VectorSettings {
    fn from(params: engine::VectorParams) -> Self {
        let index = match params.graph {
            None => api::Index { kind: api::IndexKind::Exact, m: None, ef_construct: None },
            Some(engine::GraphParams { m, ef_construct }) => {
                api::Index { kind: api::IndexKind::Hnsw, m: Some(m), ef_construct: Some(ef_construct) }
            }
        };
        let engine::VectorParams { size, distance, quantization, .. } = params;
        Self { size, distance, index: Some(index), quantization: Some(quantization) }
    }
}

impl From<api::PointInput> for PointWrite {
    fn from(point: api::PointInput) -> Self {
        let api::PointInput { id, vector, payload, if_version } = point;
        Self {
            id,
            vectors: vector.into_named(),
            payload: payload.as_ref().map(Payload::from).unwrap_or_default(),
            if_version,
        }
    }
}

/// Which of a payload is wanted.
///
/// # Errors
/// A name that is no path.
pub(super) fn payload_selector(wanted: WithPayload) -> Result<PayloadSelector, ApiError> {
    // A name that is no path is refused here with its place, before any shard is asked.
    let paths = |member: &str, texts: Vec<String>| {
        for (place, text) in texts.iter().enumerate() {
            Path::parse(text).map_err(|reason| ApiError::invalid(format!("{member}[{place}]"), reason))?;
        }
        Ok::<_, ApiError>(texts.into_iter().collect())
    };
    Ok(match wanted {
        WithPayload::All(true) => PayloadSelector::All,
        WithPayload::All(false) => PayloadSelector::None,
        WithPayload::Fields(texts) => PayloadSelector::Include(paths("with_payload", texts)?),
        WithPayload::Except(texts) => PayloadSelector::Exclude(paths("with_payload.exclude", texts)?),
    })
}

impl From<WithVector> for VectorSelector {
    fn from(wanted: WithVector) -> Self {
        match wanted {
            WithVector::All(true) => Self::All,
            WithVector::All(false) => Self::None,
            WithVector::Names(names) => Self::Names(names.into_iter().collect()),
        }
    }
}

/// The name of the vector that `using` means.
pub(super) fn vector_name(using: Option<String>) -> String {
    using.unwrap_or_else(|| DEFAULT_VECTOR.to_owned())
}

/// A search's hit on the wire.
pub(in crate::gateway) fn hit((shard, hit): (ShardId, engine::Hit)) -> api::Hit {
    let engine::Hit { id, score, version, payload, vectors } = hit;
    let (payload, vector) = (payload.map(payload_text), vectors.map(api::VectorValue::from_named));
    api::Hit { id, score, version, payload, vector, shard: shard.0 }
}

/// How a shard searched, on the wire.
pub(in crate::gateway) fn explain((shard, explain): (ShardId, engine::Explain)) -> api::Explain {
    let engine::Explain { way, compared, filtered, candidates, indexes, .. } = explain;
    api::Explain { shard: shard.0, way, compared, filtered, candidates, indexes: indexes.into_iter().collect() }
}

/// A stored point on the wire.
pub(in crate::gateway) fn record((shard, record): (ShardId, engine::Record)) -> api::Record {
    let engine::Record { id, version, payload, vectors } = record;
    let (payload, vector) = (payload.map(payload_text), vectors.map(api::VectorValue::from_named));
    api::Record { id, version, payload, vector, shard: shard.0 }
}

fn payload_text(payload: Payload) -> api::PayloadText {
    api::PayloadText::new(payload.into_text())
}

/// Who served each shard. Only a read at ONE can be stale, so only there is the staleness told.
pub(super) fn evidence(level: api::Consistency, shards: &[ShardEvidence]) -> Vec<api::Evidence> {
    let row = |shard: &ShardEvidence| api::Evidence {
        shard: shard.shard.0,
        served_by: shard.served_by.to_string(),
        role: shard.role,
        term: shard.term,
        index: shard.index,
        staleness_ms: (level == api::Consistency::One).then_some(shard.staleness_ms),
    };
    shards.iter().map(row).collect()
}
