//! The table of settings: one row a setting, from which its flag, its variable, its key in the file, its help with the
//! default, the laying of one source over another and its rule come.
//!
//! A row of [`settings`] reads, with everything after the name of the value left out where it says nothing:
//!
//! ```text
//! /// What it is, as `--help` says it.
//! name: Type, "VARIABLE", "VALUE" = default, or default, shown "text", in least..=most, least n: "why", new cluster, #[attr];
//! ```
//!
//! - `= default`: what it is where nothing says it; the help shows it. `or default` is the same, and is not shown.
//! - `shown "text"`: what the help says of the default, where that is not the default itself.
//! - `in least..=most`: what it may be. `least n: "why"`: the least that it may be, and why.
//! - `new cluster`: it belongs to a new cluster, and changes none that exists.
//! - `#[attr]`: further attributes of the field, for clap and serde.
//!
//! The flag is the name with `-` for `_`, the key is the name. Rows that `quiver server` and `quiver gateway` share stand here.
//! Knows the form of rows, and nothing of what the settings do.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::ConfigError;

/// Declares the arguments of a command: its own rows, those that all commands share, and its last rows.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident { $($own:tt)* } { $($last:tt)* }) => {
        $crate::config::table::settings! { @table $(#[$doc])* $name {
            /// Read settings from this TOML file; its keys are these flags with `_` for `-`.
            config: PathBuf, "QUIVER_CONFIG", "FILE", #[serde(skip)];
            $($own)*
            /// Largest request body, in bytes.
            max_body_bytes: usize, "QUIVER_MAX_BODY_BYTES", "BYTES" = RequestLimits::BODY_BYTES, in 1 << 10..=1 << 30;
            /// Bytes that the bodies of all requests may take together.
            body_memory: usize, "QUIVER_BODY_MEMORY", "BYTES", shown "an eighth of the memory";
            /// A name that clients reach this process by, beside localhost, addresses and --advertise; repeat or separate by commas.
            allow_host: Vec<String>, "QUIVER_ALLOW_HOST", "HOST", or Vec::<String>::new(), #[arg(value_delimiter = ',')];
            /// Most points in one write.
            max_batch: usize, "QUIVER_MAX_BATCH", "POINTS" = RequestLimits::BATCH, in 1..=RequestLimits::BATCH;
            /// Most results of one search or scroll, offset included.
            max_limit: usize, "QUIVER_MAX_LIMIT", "RESULTS" = RequestLimits::RESULTS, in 1..=RequestLimits::RESULTS;
            /// Deadline of requests that name none, in milliseconds.
            request_timeout_ms: u64, "QUIVER_REQUEST_TIMEOUT_MS", "MS" = RequestLimits::TIMEOUT_MS, in 1..=600_000;
            /// How logs are written to stderr.
            log_format: LogFormat, "QUIVER_LOG_FORMAT", "FORMAT", or LogFormat::Text, shown "text";
            $($last)*
        } }
        impl $name {
            /// Bounds on one request; the rows have filled in and checked all but the memory, which is not below one body.
            fn request_limits(&self) -> Result<RequestLimits, ConfigError> {
                let body_bytes = filled(&self.max_body_bytes);
                let body_memory = self.body_memory.unwrap_or(RequestLimits::default().body_memory.max(body_bytes));
                $crate::config::table::within("--body-memory", &Some(body_memory), body_bytes..=1 << 46)?;
                Ok(RequestLimits {
                    body_bytes,
                    body_memory,
                    batch: filled(&self.max_batch),
                    results: filled(&self.max_limit),
                    timeout_ms: filled(&self.request_timeout_ms),
                })
            }
        }
    };
    (@table $(#[$doc:meta])* $name:ident { $(
        #[doc = $help:literal]
        $field:ident: $type:ident $(<$inner:ident>)?, $variable:literal, $value:literal
            $(= $default:expr)? $(, or $hidden:expr)? $(, shown $shown:literal)?
            $(, in $range:expr)? $(, least $least:literal: $why:literal)? $(, new $cluster:ident)? $(, #[$attr:meta])*;
    )* }) => {
        $(#[$doc])*
        #[derive(clap::Args, Clone, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $(
            #[doc = $help]
            #[arg(long, env = $variable, value_name = $value, help = $crate::config::table::help(
                $help, None::<String> $(.or(Some(($default).to_string())))? $(.or(Some($shown.to_owned())))?
            ))]
            $(#[$attr])*
            pub $field: Option<$type $(<$inner>)?>,
        )* }

        impl $name {
            /// Takes each setting from `below` where this leaves it open.
            fn lay_over(&mut self, below: Self) {
                $( self.$field = self.$field.take().or(below.$field); )*
            }

            /// Gives each setting that nothing says the default of its row, and checks every row's rule. Returns the flags
            /// of those that were given and belong to a new cluster.
            fn fill(&mut self) -> Result<Vec<String>, ConfigError> {
                // Only before the defaults are filled in is it known which settings were given.
                let of_new_cluster: &[(&str, &str, bool)] =
                    &[$( $( (stringify!($cluster), stringify!($field), self.$field.is_some()), )? )*];
                let given = of_new_cluster.iter().filter(|(_, _, is_given)| *is_given);
                let given = given.map(|(_, name, _)| $crate::config::table::flag(name)).collect();
                $(
                    $( self.$field.get_or_insert_with(|| ($default).into()); )?
                    $( self.$field.get_or_insert_with(|| $hidden); )?
                    $( $crate::config::table::within(&$crate::config::table::flag(stringify!($field)), &self.$field, $range)?; )?
                    $( $crate::config::table::at_least(stringify!($field), &self.$field, $least, $why)?; )?
                )*
                Ok(given)
            }
        }
    };
}
pub(super) use settings;

/// The flag of the setting of this name.
pub(super) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// What `--help` says of a setting: the comment of its row, and the default.
pub(super) fn help(comment: &str, default: Option<String>) -> String {
    let comment = comment.trim();
    let comment = comment.strip_suffix('.').unwrap_or(comment);
    default.map_or_else(|| comment.to_owned(), |default| format!("{comment} [default: {default}]"))
}

/// The value of a setting whose row has a default.
pub(super) fn filled<T: Clone>(value: &Option<T>) -> T {
    value.clone().expect("`fill` gave it the default of its row")
}

/// The rule `in least..=most`.
pub(super) fn within<T: PartialOrd + Display>(
    setting: &str,
    value: &Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    match value {
        Some(value) if !range.contains(value) => {
            let (least, most) = range.into_inner();
            Err(ConfigError::invalid(setting, format!("{value} is out of range: choose {least} to {most}")))
        }
        _ => Ok(()),
    }
}

/// The rule `least n: "why"`.
pub(super) fn at_least<T: PartialOrd>(name: &str, value: &Option<T>, least: T, why: &str) -> Result<(), ConfigError> {
    match value {
        Some(value) if *value < least => Err(ConfigError::invalid(flag(name), why)),
        _ => Ok(()),
    }
}
