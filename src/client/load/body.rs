//! The body of one batch: the compact form if the points allow it, else JSON.
//!
//! In: points with the numbers of their rows. Out: bytes and their content type. Pure. The server validates the points.

use crate::api::{POINTS_CONTENT_TYPE, PointInput, PointsHead, Upsert, VectorValue, encode_points};
use crate::client::Body;

/// The body that writes these points, each with the number of its row.
pub fn of(head: PointsHead, points: &[(u64, PointInput)]) -> Body {
    match compact(&head, points) {
        Some(bytes) => Body { content_type: POINTS_CONTENT_TYPE, bytes: bytes.into() },
        None => Body::json(&Upsert {
            collection: head.collection,
            vectors: points.iter().map(|(_, point)| point.clone()).collect(),
            consistency: head.consistency,
            request_id: head.request_id,
            timeout_ms: head.timeout_ms,
        }),
    }
}

/// The compact form; `None` if a point has named vectors or a guard, or if vectors differ in length.
fn compact(head: &PointsHead, points: &[(u64, PointInput)]) -> Option<Vec<u8>> {
    let mut rows = Vec::with_capacity(points.len());
    for (_, point) in points {
        let (VectorValue::Single(vector), None) = (&point.vector, point.if_version) else { return None };
        let payload = point.payload.as_ref().filter(|payload| !payload.is_empty());
        let payload = payload.map(serde_json::to_string).transpose().ok()?.unwrap_or_default();
        rows.push((point.id, vector.as_slice(), payload));
    }
    encode_points(head, rows.iter().map(|(id, vector, payload)| (*id, *vector, payload.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{PointId, decode_points, read_head};

    fn head() -> PointsHead {
        PointsHead { collection: "docs".into(), using: None, consistency: None, request_id: None, timeout_ms: Some(7) }
    }

    fn point(text: &str) -> (u64, PointInput) {
        (0, serde_json::from_str(text).unwrap())
    }

    #[test]
    fn plain_points_go_compact() {
        let body =
            of(head(), &[point(r#"{"id":1,"vector":[1,2],"payload":{"a":"ä"}}"#), point(r#"{"id":2,"vector":[3,4]}"#)]);
        assert_eq!(body.content_type, POINTS_CONTENT_TYPE);
        let (found, points) = decode_points(&body.bytes, read_head).unwrap();
        assert_eq!(found, head());
        assert_eq!((points[0].id, points[0].vector.as_slice()), (PointId::Num(1), &[1.0, 2.0][..]));
        assert_eq!((points[0].payload, points[1].payload), (r#"{"a":"ä"}"#, ""));
    }

    #[test]
    fn what_the_compact_form_cannot_hold_goes_as_json() {
        for other in [
            r#"{"id":2,"vector":{"title":[3,4]}}"#,
            r#"{"id":2,"vector":[3,4],"if_version":0}"#,
            r#"{"id":2,"vector":[3,4,5]}"#,
        ] {
            let points = [point(r#"{"id":1,"vector":[1,2]}"#), point(other)];
            let body = of(head(), &points);
            assert_eq!(body.content_type, "application/json", "{other}");
            let sent: Upsert = serde_json::from_slice(&body.bytes).unwrap();
            assert_eq!(sent.vectors, points.map(|(_, point)| point));
        }
    }
}
