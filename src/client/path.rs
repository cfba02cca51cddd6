//! Paths of requests: each name becomes one segment, whatever characters it has.
//!
//! In: segments, some of them names that people chose. Out: a path, or [`UnusableInput`]. Pure.

use super::failure::UnusableInput;

/// The path of these segments, each percent-encoded (RFC 3986, § 2.3). It begins with a slash.
///
/// # Errors
/// [`UnusableInput`] for a segment that is empty, `.` or `..`, because it would name another path.
pub fn path<const N: usize>(segments: [&str; N]) -> Result<String, UnusableInput> {
    let mut path = String::new();
    for segment in segments {
        if matches!(segment, "" | "." | "..") {
            return Err(UnusableInput(format!("`{segment}` is no name")));
        }
        path.push('/');
        for byte in segment.bytes() {
            // These are RFC 3986's unreserved characters.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path += &format!("%{byte:02X}");
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_one_segment_and_leads_nowhere_else(name in "\\PC{0,20}|[./?#%a]{0,6}") {
            let Ok(path) = path(["cluster", "nodes", &name]) else {
                prop_assert!(["", ".", ".."].contains(&name.as_str()));
                return Ok(());
            };
            let url = reqwest::Url::parse(&format!("http://127.0.0.1:1{path}?force=true")).unwrap();
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!((segments[0], segments[1]), ("cluster", "nodes"));
            prop_assert_eq!((url.query(), url.fragment()), (Some("force=true"), None));
        }
    }
}
