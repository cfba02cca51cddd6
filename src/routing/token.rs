//! Session tokens: how far each shard's log had come when a client's write was done.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use raft_groups::recoveries;
use serde::{Deserialize, Serialize};

use crate::model::limits::MAX_SHARDS;
use crate::placement::ShardId;

/// First part of every token's text: its format.
const FORMAT: &str = "s1";

/// A place in a shard's log. After a recovery of last resort the log goes on from an earlier place: those of before may
/// be gone, and are less than all that come after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct LogPoint {
    /// How often the shard had been recovered.
    pub recovered: u64,
    /// Log index.
    pub index: u64,
}

impl LogPoint {
    /// The entry at `index` that a leader of `term` appended.
    pub fn new(term: u64, index: u64) -> Self {
        Self { recovered: recoveries(term), index }
    }
}

/// A point of the log per shard. Passed as `after`, it makes a read wait until the replica it looks at has applied them.
///
/// Text: `s1` and then `.SHARD-INDEX` per shard, `.SHARD-INDEX-RECOVERED` where a shard was recovered, all in lowercase
/// hexadecimal; safe in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionToken(pub BTreeMap<ShardId, LogPoint>);

impl SessionToken {
    /// Takes the later point of each shard.
    pub fn merge(&mut self, other: &SessionToken) {
        for (shard, point) in &other.0 {
            self.raise(*shard, *point);
        }
    }

    /// Raises the point of one shard to at least `point`.
    pub fn raise(&mut self, shard: ShardId, point: LogPoint) {
        let known = self.0.entry(shard).or_default();
        *known = point.max(*known);
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMAT)?;
        self.0.iter().try_for_each(|(shard, LogPoint { recovered, index })| {
            write!(f, ".{:x}-{index:x}", shard.0)?;
            if *recovered > 0 { write!(f, "-{recovered:x}") } else { Ok(()) }
        })
    }
}

/// A text that is not a session token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a session token: {0}; pass a `token` as a write returned it")]
pub struct BadToken(String);

impl FromStr for SessionToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let mut parts = text.split('.');
        if parts.next() != Some(FORMAT) {
            return Err(BadToken(format!("it does not start with `{FORMAT}`")));
        }
        let mut token = BTreeMap::new();
        for part in parts {
            let (shard, point) = entry(part).ok_or_else(|| bad_part(part))?;
            if token.insert(shard, point).is_some() {
                return Err(BadToken(format!("shard {shard} comes twice")));
            }
        }
        Ok(Self(token))
    }
}

fn entry(part: &str) -> Option<(ShardId, LogPoint)> {
    let (shard, point) = part.split_once('-')?;
    let shard = u32::try_from(hex(shard)?).ok().filter(|shard| *shard < MAX_SHARDS)?;
    // Only a token from after a recovery has the second number, and 0 recoveries are never written.
    let point = match point.split_once('-') {
        None => LogPoint { recovered: 0, index: hex(point)? },
        Some((index, recovered)) => {
            LogPoint { recovered: hex(recovered).filter(|recovered| *recovered > 0)?, index: hex(index)? }
        }
    };
    Some((ShardId(shard), point))
}

/// Only lowercase digits: `from_str_radix` would also take a sign and capitals, second spellings of one token.
fn hex(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn bad_part(part: &str) -> BadToken {
    let part: String = part.chars().take(40).collect();
    BadToken(format!("`{part}` is not SHARD-INDEX or SHARD-INDEX-RECOVERED"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_survives_its_text(points in proptest::collection::btree_map(0..MAX_SHARDS, (0u64..3, any::<u64>()), 0..20)) {
            let point = |(recovered, index)| LogPoint { recovered, index };
            let token = SessionToken(points.into_iter().map(|(shard, at)| (ShardId(shard), point(at))).collect());
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            if let Ok(token) = text.parse::<SessionToken>() {
                prop_assert_eq!(token.to_string().parse(), Ok(token));
            }
        }
    }

    fn at(index: u64) -> LogPoint {
        LogPoint { recovered: 0, index }
    }

    #[test]
    fn the_text_is_stable() {
        let token = SessionToken(BTreeMap::from([(ShardId(0), at(1000)), (ShardId(31), at(7))]));
        assert_eq!(token.to_string(), "s1.0-3e8.1f-7");
        let recovered = LogPoint { recovered: 2, index: 31 };
        assert_eq!(SessionToken([(ShardId(3), recovered)].into()).to_string(), "s1.3-1f-2");
        assert_eq!(SessionToken::default().to_string(), "s1");
    }

    #[test]
    fn bad_texts_are_refused() {
        for bad in [
            "",
            "s2.0-1",
            "s1.x",
            "s1.0",
            "s1.0-",
            "s1.-1",
            "s1.0-1.0-2",
            "s1.+0-1",
            "s1.ffffffff-1",
            "s1.0-G",
            "s1.0-1-0",
            "s1.0-1-2-3",
        ] {
            assert!(bad.parse::<SessionToken>().is_err(), "{bad}");
        }
    }

    #[test]
    fn merging_takes_the_later_index() {
        let recovered = LogPoint { recovered: 1, index: 2 };
        let mut token = SessionToken([(ShardId(0), at(5)), (ShardId(1), at(5)), (ShardId(3), at(9))].into());
        let other = [(ShardId(1), at(9)), (ShardId(2), at(1)), (ShardId(0), at(4)), (ShardId(3), recovered)];
        token.merge(&SessionToken(other.into()));
        let expected = [(ShardId(0), at(5)), (ShardId(1), at(9)), (ShardId(2), at(1)), (ShardId(3), recovered)].into();
        assert_eq!(token.0, expected);
    }
}
