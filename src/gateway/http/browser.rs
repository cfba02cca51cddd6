//! Keeps web pages of other sites out: a browser sends what a page asks of it to any address, also to a developer's own
//! machine.
//!
//! Comes in: a method and headers. Goes out: nothing, or a refusal. A name that is not this process's own may have been made
//! to point here (DNS rebinding), so `Host` must be one that we go by. What changes something must not come from a page of
//! another site; the rule is that of Go 1.25's `CrossOriginProtection`.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

use super::error::{ApiError, quoted};

/// What a browser says of where a request comes from (Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

/// Returns an error unless the request is meant for this process, and no page of another site sends it.
pub fn check(method: &Method, headers: &HeaderMap, ours: &[String]) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host");
    if let Some(host) = host.filter(|host| !is_ours(host, ours)) {
        return Err(ApiError::ForeignHost { host: quoted(host) });
    }
    // A safe method changes nothing, and a browser keeps its answer from pages of other sites.
    if method.is_safe() {
        return Ok(());
    }
    // Browsers say where a request comes from. A client that says nothing is taken for no browser.
    let origin = text("origin");
    let from_elsewhere = match (text(FETCH_SITE), origin) {
        (Some("same-origin" | "none"), _) => false,
        (Some(_), _) => true,
        (None, Some(origin)) => host.is_none_or(|host| host_of(origin) != Some(host)),
        (None, None) => false,
    };
    if from_elsewhere {
        return Err(ApiError::CrossSite { origin: quoted(origin.unwrap_or("another site")) });
    }
    // A page can send a body without a type to anyone, and with one of ours only to whom allows it.
    if origin.is_some() && !headers.contains_key(header::CONTENT_TYPE) && has_body(headers) {
        let (found, expected) = ("none".to_owned(), "application/json");
        return Err(ApiError::MediaType { header: "Content-Type", found, expected });
    }
    Ok(())
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// `host:port` of an origin.
fn host_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// Returns `true` if this process goes by the name `host`: a name of the machine itself, one of `ours`, or a bare
/// address, which nobody can make point elsewhere.
fn is_ours(host: &str, ours: &[String]) -> bool {
    // The name alone decides, whatever the port is.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // An IPv6 address stands in brackets, and a name may end in the dot of the root.
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || ours.iter().any(|ours| ours.trim_end_matches('.').eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn code(method: Method, pairs: &[(&'static str, &str)]) -> &'static str {
        let ours = ["db.example".to_owned()];
        check(&method, &headers(pairs), &ours).map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn names_that_are_not_ours_are_foreign() {
        for host in
            ["127.0.0.1:8001", "localhost:8001", "LOCALHOST", "[::1]:8001", "10.1.2.3", "db.example:80", "a.localhost"]
        {
            assert_eq!(code(Method::GET, &[("host", host)]), "ok", "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8001",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "db.example.evil:1",
        ] {
            assert_eq!(code(Method::GET, &[("host", host)]), "foreign_host", "{host}");
        }
        assert_eq!(code(Method::POST, &[]), "ok", "a client of HTTP 1.0");
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let host = ("host", "127.0.0.1:8001");
        let json = ("content-type", "application/json");
        assert_eq!(code(Method::POST, &[host]), "ok", "no browser");
        assert_eq!(
            code(Method::POST, &[host, json, (FETCH_SITE, "same-origin"), ("origin", "http://127.0.0.1:8001")]),
            "ok"
        );
        assert_eq!(code(Method::POST, &[host, json, ("origin", "http://127.0.0.1:8001")]), "ok");
        for site in ["cross-site", "same-site", "?"] {
            assert_eq!(code(Method::POST, &[host, json, (FETCH_SITE, site)]), "cross_site", "{site}");
            assert_eq!(code(Method::GET, &[host, (FETCH_SITE, site)]), "ok", "what is read changes nothing");
        }
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9", "127.0.0.1:8001"] {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                assert_eq!(code(method, &[host, json, ("origin", origin)]), "cross_site", "{origin}");
            }
        }
        let own = ("origin", "http://127.0.0.1:8001");
        assert_eq!(code(Method::POST, &[host, own, ("content-length", "5")]), "unsupported_media_type");
        assert_eq!(code(Method::DELETE, &[host, own, ("content-length", "0")]), "ok");
    }
}
