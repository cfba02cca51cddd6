//! The members that requests share, said once: how fresh a read is, when a write is acknowledged, how long both may take.
//!
//! [`request!`] declares a request's type with those members among its own, where `..read`, `..read_one` or `..write`
//! stands. They are members like the others, not a flattened type: serde would lose where in the body an error is.
//! This file knows no level's meaning and no deadline's; the gateway does.

use uuid::Uuid;

use super::Level;

/// What a read says of its freshness and its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadMembers {
    /// Read level; absent means the collection's default.
    pub consistency: Option<Level>,
    /// Token of a write this read must see.
    pub after: Option<String>,
    /// Oldest answer that will do, in milliseconds (level ONE).
    pub max_staleness_ms: Option<u64>,
    /// Deadline, in milliseconds from arrival.
    pub timeout_ms: Option<u64>,
    /// Accept an answer that misses shards.
    pub allow_partial: bool,
}

/// What a write says of its acknowledgement and its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteMembers {
    /// When to acknowledge; absent means the collection's default.
    pub consistency: Option<Level>,
    /// Names the write, so that a retry applies once.
    pub request_id: Option<Uuid>,
    /// Deadline, in milliseconds from arrival.
    pub timeout_ms: Option<u64>,
}

/// Declares the type of a request, which refuses unknown members. Among its members one of these may stand:
/// - `..read`: what reads share, with a method `read_members`;
/// - `..read_one`: the same for a read of one shard, which is never partial;
/// - `..write`: what writes share, with a method `write_members`.
macro_rules! request {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$b:meta])* pub $before:ident: $bt:ty,)* ..read, $($(#[$a:meta])* pub $last:ident: $lt:ty,)* }) => {
        $crate::api::options::request! {
            @reads $(#[$meta])* pub struct $name {
                $($(#[$b])* pub $before: $bt,)*
                ..members,
                /// Accept an answer that misses shards, which it then names.
                #[serde(default, deserialize_with = "crate::api::reading::null_is_absent")]
                #[schemars(with = "Option<bool>")]
                pub allow_partial: bool,
                $($(#[$a])* pub $last: $lt,)*
            }
        }
        $crate::api::options::request! { @reader $name, |request: &Self| request.allow_partial }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$b:meta])* pub $before:ident: $bt:ty,)* ..read_one, $($(#[$a:meta])* pub $last:ident: $lt:ty,)* }) => {
        $crate::api::options::request! {
            @reads $(#[$meta])* pub struct $name {
                $($(#[$b])* pub $before: $bt,)*
                ..members,
                $($(#[$a])* pub $last: $lt,)*
            }
        }
        $crate::api::options::request! { @reader $name, |_: &Self| false }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$b:meta])* pub $before:ident: $bt:ty,)* ..write, }) => {
        $crate::api::options::request! {
            $(#[$meta])* pub struct $name {
                $($(#[$b])* pub $before: $bt,)*
                /// When to acknowledge; absent means the collection's default.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub consistency: Option<$crate::api::Level>,
                /// Names this write, so that a retry within 15 minutes applies once and answers what the first answered.
                #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::api::reading::uuid")]
                pub request_id: Option<uuid::Uuid>,
                /// Deadline, in milliseconds from arrival.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[schemars(range(min = 1, max = crate::model::limits::MAX_TIMEOUT_MS))]
                #[schemars(extend("default" = crate::model::limits::DEFAULT_TIMEOUT_MS, "x-limit" = "max_timeout"))]
                pub timeout_ms: Option<u64>,
            }
        }

        impl $name {
            /// What the write says of its acknowledgement and its time.
            pub fn write_members(&self) -> $crate::api::WriteMembers {
                let Self { consistency, request_id, timeout_ms, .. } = *self;
                $crate::api::WriteMembers { consistency, request_id, timeout_ms }
            }
        }
    };
    (@reads $(#[$meta:meta])* pub struct $name:ident { $($(#[$b:meta])* pub $before:ident: $bt:ty,)* ..members, $($(#[$a:meta])* pub $last:ident: $lt:ty,)* }) => {
        $crate::api::options::request! {
            $(#[$meta])* pub struct $name {
                $($(#[$b])* pub $before: $bt,)*
                /// Read level; absent means the collection's default.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub consistency: Option<$crate::api::Level>,
                /// Token of a write that the read must see, at any level.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub after: Option<String>,
                /// Refuse an answer that may be older than this, in milliseconds (level ONE).
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub max_staleness_ms: Option<u64>,
                /// Deadline, in milliseconds from arrival.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[schemars(range(min = 1, max = crate::model::limits::MAX_TIMEOUT_MS))]
                #[schemars(extend("default" = crate::model::limits::DEFAULT_TIMEOUT_MS, "x-limit" = "max_timeout"))]
                pub timeout_ms: Option<u64>,
                $($(#[$a])* pub $last: $lt,)*
            }
        }
    };
    (@reader $name:ident, $allow_partial:expr) => {
        impl $name {
            /// What the read says of its freshness and its time.
            pub fn read_members(&self) -> $crate::api::ReadMembers {
                let Self { consistency, after, max_staleness_ms, timeout_ms, .. } = self;
                $crate::api::ReadMembers {
                    consistency: *consistency,
                    after: after.clone(),
                    max_staleness_ms: *max_staleness_ms,
                    timeout_ms: *timeout_ms,
                    allow_partial: ($allow_partial)(self),
                }
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$m:meta])* pub $member:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$m])* pub $member: $type,)*
        }
    };
}
pub(super) use request;
