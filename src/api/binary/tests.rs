//! The compact body: what goes in comes out, and nothing else does.

use super::*;
use proptest::prelude::*;

fn head() -> PointsHead {
    let collection = "docs".to_owned();
    PointsHead { collection, using: None, consistency: None, request_id: Some(Uuid::from_u128(7)), timeout_ms: None }
}

type Points = Vec<(PointId, Vec<f32>, String)>;

fn encode(points: &Points) -> Option<Vec<u8>> {
    let points = points.iter().map(|(id, vector, payload)| (*id, vector.as_slice(), payload.as_str()));
    encode_points(&head(), points)
}

fn points() -> impl Strategy<Value = Points> {
    let id = prop_oneof![
        any::<u64>().prop_map(PointId::Num),
        any::<u128>().prop_map(|id| PointId::Uuid(Uuid::from_u128(id)))
    ];
    let vector = prop::collection::vec(any::<f32>(), 3);
    prop::collection::vec((id, vector, "\\PC{0,9}"), 0..5)
}

fn two() -> Points {
    vec![
        (PointId::Num(1), vec![1.0, 2.0], r#"{"a":1}"#.to_owned()),
        (PointId::Uuid(Uuid::from_u128(2)), vec![3.0, 4.0], String::new()),
    ]
}

fn refused(body: &[u8]) -> BadPoints {
    decode_points(body, read_head).expect_err("no good body")
}

proptest! {
    #[test]
    fn points_come_back(points in points()) {
        let body = encode(&points).unwrap();
        let (found, decoded) = decode_points(&body, read_head).unwrap();
        prop_assert_eq!(found, head());
        prop_assert_eq!(decoded.len(), points.len());
        for (decoded, (id, vector, payload)) in decoded.iter().zip(&points) {
            prop_assert_eq!((decoded.id, decoded.payload), (*id, payload.as_str()));
            let bits = |vector: &[f32]| vector.iter().map(|component| component.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&decoded.vector), bits(vector));
        }
    }

    #[test]
    fn no_part_of_a_body_is_one(points in points(), cut in any::<prop::sample::Index>()) {
        let mut body = encode(&points).unwrap();
        prop_assert!(decode_points(&body[..cut.index(body.len())], read_head).is_err());
        body.push(0);
        prop_assert!(decode_points(&body, read_head).is_err());
    }

    #[test]
    fn garbled_bodies_never_panic(points in points(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = encode(&points).unwrap();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = decode_points(&body, read_head);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = decode_points(&bytes, read_head);
        let _ = decode_points(&[b"QVPT\x01\0\0\0".as_slice(), &bytes].concat(), read_head);
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let body = encode(&two()).unwrap();
    let text = serde_json::to_vec(&head()).unwrap();
    let mut expected = b"QVPT\x01\0\0\0".to_vec();
    expected.extend([text.len() as u32, 2, 2].iter().flat_map(|number| number.to_le_bytes()));
    expected.extend(&text);
    expected.extend(b"\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    expected.extend(b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02");
    expected.extend([1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|component| component.to_le_bytes()));
    expected.extend(b"\x07\0\0\0{\"a\":1}\0\0\0\0");
    assert_eq!(body, expected);
}

#[test]
fn errors_name_the_item_and_the_place() {
    let good = encode(&two()).unwrap();
    let start = 20 + serde_json::to_vec(&head()).unwrap().len();
    let with = |at: usize, byte: u8| {
        let mut body = good.clone();
        body[at] = byte;
        refused(&body)
    };
    let at = |bad: BadPoints| (bad.position, bad.field, bad.at);
    assert_eq!(at(with(0, b'X')), (None, "body", 0));
    assert_eq!(at(with(4, 2)), (None, "body", 4));
    assert_eq!(at(with(20, b'[')), (None, "head", 20));
    assert_eq!(at(with(start + 17, 2)), (Some(1), "id", start + 17));
    assert_eq!(at(with(start + 16, 1)), (Some(0), "id", start));
    // The second vector is cut where the ids end and one vector follows.
    let vectors = start + 2 * 17;
    assert_eq!(at(refused(&good[..vectors + 12])), (Some(1), "vector", vectors));
    let payloads = vectors + 16;
    assert_eq!(at(with(payloads + 4, 0xff)), (Some(0), "payload", payloads + 4));
    assert_eq!(at(refused(&good[..good.len() - 1])), (Some(1), "payload", good.len() - 4));
    let more = refused(&[good.as_slice(), &[0, 0]].concat());
    assert_eq!((more.position, more.at, more.to_string().contains("2 bytes follow")), (None, good.len(), true));
}

#[test]
fn a_length_is_not_believed_before_the_bytes_are_there() {
    let mut body = encode(&vec![]).unwrap();
    for counts in [[u32::MAX, 0], [u32::MAX, u32::MAX], [1, u32::MAX], [0, u32::MAX]] {
        body[12..16].copy_from_slice(&counts[0].to_le_bytes());
        body[16..20].copy_from_slice(&counts[1].to_le_bytes());
        let decoded = decode_points(&body, read_head);
        assert_eq!(decoded.is_ok(), counts[0] == 0, "{counts:?}: {decoded:?}");
    }
}

#[test]
fn vectors_of_several_lengths_have_no_body() {
    let mut points = two();
    points[1].1.push(5.0);
    assert_eq!(encode(&points), None);
}
