//! Refuses heads that two readers can take for different requests. HTTP/1.1 forbids them, and the library that reads
//! heads lets them through.
//!
//! Comes in: a head. Goes out: nothing, or a refusal. A balancer in front may go by another of two names than this
//! process does, or by another end of a body. So a head that leaves a choice is refused (RFC 9112, sections 3.2 and
//! 6.1).

use axum::extract::Request;
use axum::http::{Version, header};

use super::error::ApiError;

/// Returns an error unless the head names one host, and a body that ends where everyone sees it end.
pub fn check<B>(request: &Request<B>) -> Result<(), ApiError> {
    let refused = |reason: &str| Err(ApiError::MalformedRequest { reason: reason.to_owned() });
    // With two hosts, a proxy and this process could each believe another one.
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().map(|host| host.as_bytes());
    if hosts.next().is_some() {
        return refused("it has more than one `Host`");
    }
    if host.is_none() && request.version() >= Version::HTTP_11 {
        return refused("it has no `Host`");
    }
    // A target in absolute form names a host, too, and it must be the same.
    if let Some(target) = request.uri().authority()
        && !host.is_some_and(|host| host.eq_ignore_ascii_case(target.as_str().as_bytes()))
    {
        return refused("its target names another host than its `Host` does");
    }
    // Where a body ends must be plain, or its rest could be taken for another request.
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next().map(|coding| coding.as_bytes().trim_ascii());
    // A second line says the same as a second name in the first.
    if first.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"chunked")) || codings.next().is_some() {
        return refused("its `Transfer-Encoding` is not `chunked` alone");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(version: Version, target: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match check(&request.body(()).unwrap()) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!((error.code(), error.retryable()), ("malformed_request", false));
                true
            }
        }
    }

    #[test]
    fn a_head_names_one_host() {
        let (new, host) = (Version::HTTP_11, ("host", "db.example:1"));
        assert!(!is_refused(new, "/", &[host]));
        assert!(!is_refused(new, "http://DB.example:1/", &[host]), "names have no case");
        assert!(!is_refused(Version::HTTP_10, "/", &[]), "a client of HTTP/1.0 has none");
        assert!(is_refused(new, "/", &[]));
        for second in ["db.example:1", "evil.example"] {
            assert!(is_refused(new, "/", &[host, ("host", second)]), "{second}");
        }
        for target in ["http://evil.example/", "http://db.example/", "http://u@db.example:1/", "evil.example:1"] {
            assert!(is_refused(new, target, &[host]), "{target}");
        }
        assert!(is_refused(Version::HTTP_10, "http://evil.example/", &[]));
    }

    #[test]
    fn a_body_is_in_pieces_and_nothing_else() {
        let of = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            let headers: Vec<_> = [("host", "x")].into_iter().chain(codings).collect();
            is_refused(Version::HTTP_11, "/", &headers)
        };
        assert!(!of(&[]) && !of(&["chunked"]) && !of(&["Chunked "]));
        for codings in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["identity"],
            &[""],
        ] {
            assert!(of(codings), "{codings:?}");
        }
    }
}
