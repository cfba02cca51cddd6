//! What a node or a collection may be called.

use super::limits::MAX_NAME;

/// What is wrong with a name; `None` for one of 1 to 255 characters of `[A-Za-z0-9_.-]` that does not start with a dot.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > MAX_NAME {
        Some("is longer than 255 characters")
    } else if name.starts_with('.') {
        Some("starts with a dot")
    } else if !name.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter)) {
        Some("has a character other than A-Z, a-z, 0-9, `_`, `.` and `-`")
    } else {
        None
    }
}

/// The rule of [`name_fault`] as a regular expression.
pub const NAME_PATTERN: &str = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}$";
