//! The bytes of version 1, as openraft 0.10.0-alpha.37 wrote them under its own serde.

use std::collections::BTreeSet;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, VoteRequest, VoteResponse};
use openraft::{EntryPayload, Membership};
use proptest::prelude::*;

use super::*;
use crate::consensus::types::{CommandBytes, LogEntry, LogId, Node, RaftTypes, SnapshotMeta, StoredMembership, Vote};
use crate::network::wire::{
    PackedPairs, PeerReply, PeerRequest, ReplyEnvelope, RequestEnvelope, SnapshotAnswer, SnapshotChunk, decode, encode,
};
use crate::{GroupId, Life, NodeId};

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

/// A joint membership: two sets of voters, and a learner.
fn joint() -> Membership<NodeId, Node> {
    Membership::new_with_defaults(vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 300])], [1, 2, 300, 4])
}

fn stored() -> StoredMembership {
    StoredMembership::new(Some(log_id(3, 7)), joint())
}

fn entry(payload: EntryPayload<CommandBytes, NodeId, Node>) -> LogEntry {
    LogEntry { log_id: log_id(2, 9), payload }
}

fn check<T: Formed + std::fmt::Debug + PartialEq>(value: T, hex: &str) {
    let bytes = postcard::to_stdvec(&value.form()).expect("encodes");
    assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hex, "{value:?}");
    assert_eq!(postcard::from_bytes::<AsForm<T>>(&bytes).expect("decodes").0, value);
}

#[test]
fn forms_have_the_bytes_that_older_directories_hold() {
    check(Vote::new(300, 2), "ac02010200");
    check(Vote::new_committed(7, 300), "0701ac0201");
    check(log_id(300, 70000), "ac02f0a204");
    check(None::<LogId>, "00");
    check(entry(EntryPayload::Blank), "020900");
    check(entry(EntryPayload::Normal(CommandBytes(bytes::Bytes::from_static(b"hello")))), "0209010568656c6c6f");
    check(entry(EntryPayload::Membership(joint())), "020902020201020202ac0204010204ac02");
    check(stored(), "010307020201020202ac0204010204ac02");
    check(StoredMembership::default(), "000000");
    let meta = SnapshotMeta { last_log_id: Some(log_id(3, 8)), last_membership: stored() };
    check(meta, "010308010307020201020202ac0204010204ac0200");
}

#[test]
fn a_vote_for_nobody_is_none() {
    assert!(postcard::from_bytes::<AsForm<Vote>>(&[7, 0, 1]).is_err());
}

/// A page of a snapshot.
fn pairs() -> PackedPairs {
    let pair = |key: &str, value: &'static str| (key.as_bytes().to_vec(), bytes::Bytes::from_static(value.as_bytes()));
    PackedPairs::pack(&[pair("key", "value"), pair("other", "")])
}

/// One request of each kind.
fn requests() -> Vec<PeerRequest> {
    let (vote, last) = (Vote::new_committed(7, 300), Some(log_id(6, 5)));
    let entries = vec![entry(EntryPayload::Blank), entry(EntryPayload::Membership(joint()))];
    let append = AppendEntriesRequest { vote, prev_log_id: last, leader_commit: None, entries };
    let asks = VoteRequest { leadership_transfer: true, ..VoteRequest::new(vote, last) };
    let meta = SnapshotMeta { last_log_id: last, last_membership: stored() };
    vec![
        PeerRequest::Append(append),
        PeerRequest::Vote(asks.clone()),
        PeerRequest::PreVote(asks),
        PeerRequest::TransferLeader(openraft::raft::TransferLeaderRequest::new(vote, 2, last)),
        PeerRequest::ReadIndex,
        PeerRequest::AwaitApplied { index: 300, within_ms: 1000 },
        PeerRequest::Snapshot(SnapshotChunk::Begin),
        PeerRequest::Snapshot(SnapshotChunk::Pairs { transfer: 1, number: 2, pairs: pairs() }),
        PeerRequest::Snapshot(SnapshotChunk::End { transfer: 1, chunks: 2, vote, meta }),
    ]
}

/// One reply of each kind.
fn replies() -> Vec<PeerReply> {
    let (vote, last) = (Vote::new(7, 300), Some(log_id(6, 5)));
    let appended = [
        AppendEntriesResponse::<RaftTypes>::Success,
        AppendEntriesResponse::PartialSuccess(last),
        AppendEntriesResponse::Conflict,
        AppendEntriesResponse::HigherVote(vote),
    ];
    let transferred = [
        Ok(()),
        Err(TransferLeaderError::VoteChanged { expected: vote, actual: vote }),
        Err(TransferLeaderError::LogNotFlushed { expected: last, actual: None }),
    ];
    let others = [
        PeerReply::Vote(VoteResponse::new(vote, last, true)),
        PeerReply::ReadIndex(Ok(7)),
        PeerReply::Applied(true),
        PeerReply::Snapshot(SnapshotAnswer::Installed(openraft::raft::SnapshotResponse::new(vote))),
    ];
    appended
        .map(PeerReply::Append)
        .into_iter()
        .chain(transferred.map(PeerReply::TransferLeader))
        .chain(others)
        .collect()
}

fn envelope(request: PeerRequest) -> RequestEnvelope {
    let life = Life { number: 3, start: [5; 16] };
    RequestEnvelope { cluster: [7; 16], from: 1, to: 2, life, known: life, group: GroupId(4), lease_ms: 900, request }
}

#[test]
fn every_message_comes_back_whatever_a_later_release_adds_behind_it() {
    for request in requests() {
        let said = format!("{request:?}");
        let bytes = [&encode(&envelope(request))[..], b"a later member"].concat();
        assert_eq!(format!("{:?}", decode::<RequestEnvelope>(&bytes).expect("decodes").request), said);
    }
    for reply in replies() {
        let said = format!("{reply:?}");
        let bytes = [&encode(&ReplyEnvelope { life: Life::default(), reply })[..], b"a later member"].concat();
        assert_eq!(format!("{:?}", decode::<ReplyEnvelope>(&bytes).expect("decodes").reply), said);
    }
}

/// The messages that releases of version 1 send, one a line, in the order of [`requests`] and [`replies`].
const MESSAGES: &str = include_str!("../../../tests/data/formats/wire-1/replicas.txt");

/// The messages that this build sends, in the format of [`MESSAGES`].
fn lines() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let requests = requests().into_iter().map(|request| (request.kind_name(), encode(&envelope(request))));
    let answered = |reply| ("reply", encode(&ReplyEnvelope { life: Life { number: 3, start: [5; 16] }, reply }));
    let lines = requests.chain(replies().into_iter().map(answered));
    lines.map(|(word, bytes)| format!("{word} {}\n", hex(&bytes))).collect()
}

#[test]
fn messages_of_earlier_releases_are_read_and_this_one_sends_the_same() {
    assert_eq!(lines(), MESSAGES, "a message has changed: it needs a form of its own under another version");
    // The same file decodes to the same messages. Requests come first in it.
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
    };
    let lines = MESSAGES.lines().map(|line| bytes(line.split_once(' ').expect("a word and bytes").1));
    let (sent, answered): (Vec<_>, Vec<_>) = lines.enumerate().partition(|(at, _)| *at < requests().len());
    for ((_, bytes), request) in sent.iter().zip(requests()) {
        assert_eq!(format!("{:?}", decode::<RequestEnvelope>(bytes).expect("decodes").request), format!("{request:?}"));
    }
    for ((_, bytes), reply) in answered.iter().zip(replies()) {
        assert_eq!(format!("{:?}", decode::<ReplyEnvelope>(bytes).expect("decodes").reply), format!("{reply:?}"));
    }
}

#[test]
fn a_message_of_another_version_is_named_as_such() {
    let mut bytes = encode(&envelope(PeerRequest::ReadIndex)).to_vec();
    bytes[0] += 1;
    assert_eq!(decode::<RequestEnvelope>(&bytes).err(), Some(crate::network::wire::Unreadable::OtherVersion));
}

proptest! {
    #[test]
    fn a_damaged_message_never_panics(
        which: prop::sample::Index, at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let mut requests = requests();
        let mut bytes = encode(&envelope(requests.swap_remove(which.index(requests.len())))).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode::<RequestEnvelope>(&bytes);
        let _ = decode::<RequestEnvelope>(&bytes[..cut.index(bytes.len())]);
        // A reply with one byte changed, at a place within it.
        let mut replies = replies();
        let reply = replies.swap_remove(which.index(replies.len()));
        let mut bytes = encode(&ReplyEnvelope { life: Life::default(), reply }).to_vec();
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        let _ = decode::<ReplyEnvelope>(&bytes);
    }
}
