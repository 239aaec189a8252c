//! Where an answer of a plain HTTP tool sends its client next.
//!
//! Redirects are never followed here: each step is an action of its own. One that stays with the server is rewritten so
//! that it leads through this door again; one that leads elsewhere would take the agent around it, and is not passed on.

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

/// Headers that name other places for a client to go to by itself.
const LEADS_AWAY: [HeaderName; 2] = [header::ALT_SVC, header::REFRESH];

/// Where a `Location` leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere but to this door, as it stands.
    Door,
    /// To the server: this path at the door.
    Server(String),
    Elsewhere,
}

/// Keeps the client of the HTTP tool `server` at `base` at this door. False: the answer is a redirect to elsewhere and
/// must not be passed on.
pub(super) fn keep_inside(status: StatusCode, headers: &mut HeaderMap, server: &str, base: &Uri) -> bool {
    for name in LEADS_AWAY {
        headers.remove(name);
    }
    let mut all = headers.get_all(header::LOCATION).iter();
    let Some(first) = all.next() else { return true };
    let place = match (first.to_str(), all.next()) {
        (Ok(text), None) => place(text, server, base),
        _ => Place::Elsewhere,
    };
    let passed = match place {
        Place::Door => return true,
        Place::Server(path) => HeaderValue::from_str(&path).ok(),
        Place::Elsewhere => None,
    };
    match passed {
        Some(path) => {
            headers.insert(header::LOCATION, path);
            true
        }
        None => {
            // What was done is done: the answer is told without the place that it names (RFC 9110 §10.2.2).
            headers.remove(header::LOCATION);
            !status.is_redirection()
        }
    }
}

fn place(location: &str, server: &str, base: &Uri) -> Place {
    // Readers disagree about these, and take some for slashes.
    if location.contains(|c: char| c == '\\' || c.is_ascii_control()) || location.trim() != location {
        return Place::Elsewhere;
    }
    let of_server =
        |path: &str| inside(path, base).map_or(Place::Elsewhere, |rest| Place::Server(format!("/http/{server}{rest}")));
    let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
    if before_path.contains(':') || location.starts_with("//") {
        let Some((origin, path)) = split(location) else { return Place::Elsewhere };
        return if is_same(&origin, base) { of_server(path) } else { Place::Elsewhere };
    }
    if location.starts_with('/') { of_server(location) } else { Place::Door }
}

/// What follows the base in a path of the server.
fn inside<'l>(path: &'l str, base: &Uri) -> Option<&'l str> {
    let rest = path.strip_prefix(base.path().trim_end_matches('/'))?;
    match rest {
        "" => Some("/"),
        rest => rest.starts_with(['/', '?', '#']).then_some(rest),
    }
}

/// An absolute URL as its origin and what follows.
fn split(location: &str) -> Option<(Uri, &str)> {
    let (scheme, rest) = location.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    // Names and passwords before the host are for confusing readers.
    let authority: Authority = authority.parse().ok().filter(|_| !authority.contains('@'))?;
    // A scheme counts without regard to case (RFC 3986 §3.1), which `Uri` does not know.
    let scheme = scheme.to_ascii_lowercase();
    let origin = Uri::builder().scheme(&*scheme).authority(authority).path_and_query("/").build().ok()?;
    Some((origin, path))
}

fn is_same(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_stay_at_the_door() {
        let base: Uri = "https://api.example/v1/".parse().unwrap();
        let server = |path: &str| Place::Server(path.to_owned());
        for (location, expected) in [
            ("https://api.example/v1/users/7?a=b#c", server("/http/api/users/7?a=b#c")),
            ("HTTPS://API.example:443/v1", server("/http/api/")),
            ("/v1/users", server("/http/api/users")),
            ("users/8", Place::Door),
            ("?page=2", Place::Door),
            ("/v2/users", Place::Elsewhere),
            ("/v10/users", Place::Elsewhere),
            ("http://api.example/v1/users", Place::Elsewhere),
            ("https://api.example:8443/v1/users", Place::Elsewhere),
            ("https://api.example@evil.example/v1", Place::Elsewhere),
            ("https://evil.example/v1/users", Place::Elsewhere),
            ("//evil.example/v1", Place::Elsewhere),
            ("/\\evil.example/v1", Place::Elsewhere),
            ("\thttps://evil.example", Place::Elsewhere),
            ("javascript:alert(1)", Place::Elsewhere),
            ("https:evil.example", Place::Elsewhere),
        ] {
            assert_eq!(place(location, "api", &base), expected, "{location}");
        }
    }
}
