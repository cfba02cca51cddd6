//! Several requests, or their answers, in one body. Each is a length (u32, little-endian) and that many bytes.
//!
//! Comes in: requests, or replies in the same order. Goes out: a body, or the frames of a body. No sender puts more
//! than [`MAX_FRAMES`] frames into a body. A longer body is refused before it costs memory.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::mutants::{Mutant, is_planted};

/// Frames in one body, at most.
pub(super) const MAX_FRAMES: usize = 4096;
/// Bytes of a frame beside its request.
pub(super) const FRAME_HEAD: usize = 4;

/// Joins frames into one body.
pub(super) fn join_frames(frames: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(frames.iter().map(|frame| frame.len() + FRAME_HEAD).sum());
    for frame in frames {
        body.put_u32_le(u32::try_from(frame.len()).expect("requests are far below 4 GiB"));
        body.put_slice(frame);
    }
    body.freeze()
}

/// Splits a body into its frames, which share its memory; `None` if it is cut short or has too many.
pub(super) fn split_frames(mut body: Bytes) -> Option<Vec<Bytes>> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        let length = body.try_get_u32_le().ok()? as usize;
        // A longer body comes from no sender of ours, and each frame would become a task.
        let too_many = frames.len() >= MAX_FRAMES && !is_planted(Mutant::TakesEndlessFrames);
        if body.remaining() < length || too_many {
            return None;
        }
        frames.push(body.split_to(length));
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutants::plant;

    proptest! {
        #[test]
        fn frames_come_back(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
            let body = join_frames(&frames);
            prop_assert_eq!(split_frames(body.clone()), Some(frames));
            if !body.is_empty() {
                prop_assert_eq!(split_frames(body.slice(..body.len() - 1)), None);
            }
        }
    }

    #[test]
    fn a_body_of_more_frames_than_a_sender_has_waiting_is_none() {
        assert_eq!(split_frames(vec![0; MAX_FRAMES * 4].into()).map(|frames| frames.len()), Some(MAX_FRAMES));
        let endless = || Bytes::from(vec![0; (MAX_FRAMES + 1) * 4]);
        assert_eq!(split_frames(endless()), None);
        let _planted = plant(Mutant::TakesEndlessFrames);
        assert!(split_frames(endless()).is_some(), "the bug is not planted");
    }
}
