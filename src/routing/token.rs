//! Session tokens: how far each shard's log had come when a client's write was done.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::placement::{MAX_SHARDS, ShardId};

/// First part of every token's text: its format.
const FORMAT: &str = "s1";

/// A log index per shard. Passed as `after`, it makes a read wait until the replica it looks at has applied them.
///
/// Text: `s1` and then `.SHARD-INDEX` per shard, both in lowercase hexadecimal; safe in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionToken(pub BTreeMap<ShardId, u64>);

impl SessionToken {
    /// Takes the later index of each shard.
    pub fn merge(&mut self, other: &SessionToken) {
        for (shard, index) in &other.0 {
            self.raise(*shard, *index);
        }
    }

    /// Raises the index of one shard to at least `index`.
    pub fn raise(&mut self, shard: ShardId, index: u64) {
        let known = self.0.entry(shard).or_default();
        *known = index.max(*known);
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMAT)?;
        self.0.iter().try_for_each(|(shard, index)| write!(f, ".{:x}-{index:x}", shard.0))
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
            let (shard, index) = pair(part).ok_or_else(|| bad_part(part))?;
            if token.insert(shard, index).is_some() {
                return Err(BadToken(format!("shard {shard} comes twice")));
            }
        }
        Ok(Self(token))
    }
}

fn pair(part: &str) -> Option<(ShardId, u64)> {
    let (shard, index) = part.split_once('-')?;
    let shard = u32::try_from(hex(shard)?).ok().filter(|shard| *shard < MAX_SHARDS)?;
    Some((ShardId(shard), hex(index)?))
}

/// Only lowercase digits: `from_str_radix` would also take a sign and capitals, second spellings of one token.
fn hex(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn bad_part(part: &str) -> BadToken {
    let part: String = part.chars().take(40).collect();
    BadToken(format!("`{part}` is not SHARD-INDEX"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_survives_its_text(indexes in proptest::collection::btree_map(0..MAX_SHARDS, any::<u64>(), 0..20)) {
            let token = SessionToken(indexes.into_iter().map(|(s, i)| (ShardId(s), i)).collect());
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            if let Ok(token) = text.parse::<SessionToken>() {
                prop_assert_eq!(token.to_string().parse(), Ok(token));
            }
        }
    }

    #[test]
    fn the_text_is_stable() {
        let token = SessionToken(BTreeMap::from([(ShardId(0), 1000), (ShardId(31), 7)]));
        assert_eq!(token.to_string(), "s1.0-3e8.1f-7");
        assert_eq!(SessionToken::default().to_string(), "s1");
    }

    #[test]
    fn bad_texts_are_refused() {
        for bad in ["", "s2.0-1", "s1.x", "s1.0", "s1.0-", "s1.-1", "s1.0-1.0-2", "s1.+0-1", "s1.ffffffff-1", "s1.0-G"]
        {
            assert!(bad.parse::<SessionToken>().is_err(), "{bad}");
        }
    }

    #[test]
    fn merging_takes_the_later_index() {
        let mut token = SessionToken(BTreeMap::from([(ShardId(0), 5), (ShardId(1), 5)]));
        token.merge(&SessionToken(BTreeMap::from([(ShardId(1), 9), (ShardId(2), 1), (ShardId(0), 4)])));
        let expected = BTreeMap::from([(ShardId(0), 5), (ShardId(1), 9), (ShardId(2), 1)]);
        assert_eq!(token.0, expected);
    }
}
