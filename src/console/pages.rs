//! The pages: files inside the binary. They hold no data; what they show they ask the API for, as whoever has logged in.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Problem;
use super::manual;
use crate::model::Digest;

/// The one document. A script fills it with the page of its address.
const SHELL: &str = include_str!("web/index.html");
/// Where a page's own content goes, in a document that comes with some.
const PLACE: &str = "<!-- page -->";

/// Addresses that the document stands for.
const ADDRESSES: [&str; 11] = [
    "/",
    "/login",
    "/live",
    "/approvals",
    "/approvals/{id}",
    "/sessions",
    "/sessions/{id}",
    "/receipts",
    "/receipts/{id}",
    "/policies",
    "/destinations",
];

macro_rules! files {
    ($($name:literal: $kind:literal),* $(,)?) => {
        [$(($name, $kind, include_bytes!(concat!("web/", $name)).as_slice())),*]
    };
}

/// Name, media type, content.
static FILES: [(&str, &str, &[u8]); 20] = files! {
    "api.js": "text/javascript",
    "approval.js": "text/javascript",
    "approvals.js": "text/javascript",
    "console.css": "text/css",
    "console.js": "text/javascript",
    "destinations.js": "text/javascript",
    "dom.js": "text/javascript",
    "entries.js": "text/javascript",
    "format.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "live.js": "text/javascript",
    "login.js": "text/javascript",
    "marks.js": "text/javascript",
    "plot.js": "text/javascript",
    "policies.js": "text/javascript",
    "receipt.js": "text/javascript",
    "receipts.js": "text/javascript",
    "session.js": "text/javascript",
    "sessions.js": "text/javascript",
    "verify.js": "text/javascript",
};

pub(super) fn routes() -> Router {
    let document = || async { document("", "Countersign") };
    let pages = ADDRESSES.iter().fold(Router::new(), |router, address| router.route(address, get(document)));
    pages.route("/static/{name}", get(file)).route("/manual", get(contents)).route("/manual/{page}", get(page))
}

async fn contents(headers: HeaderMap) -> Response {
    served(&headers, "text/html", manual_document("").unwrap_or_default().as_bytes())
}

async fn page(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let text = manual_document(&name).ok_or_else(|| Problem::not_found("the manual has no such page"))?;
    Ok(served(&headers, "text/html", text.as_bytes()))
}

fn manual_document(name: &str) -> Option<String> {
    let page = manual::page(name)?;
    Some(filled(&page.html, &format!("{} - Countersign", page.title)))
}

fn document(content: &str, title: &str) -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    (headers, filled(content, title)).into_response()
}

fn filled(content: &str, title: &str) -> String {
    SHELL.replace(PLACE, content).replace("<title>Countersign</title>", &format!("<title>{title}</title>"))
}

async fn file(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let (_, kind, content) = FILES.iter().find(|(own, _, _)| *own == name).ok_or_else(super::nothing_here)?;
    Ok(served(&headers, kind, content))
}

/// The content, unless the browser has it already.
fn served(headers: &HeaderMap, kind: &'static str, content: &[u8]) -> Response {
    let tag = format!("\"{}\"", Digest::of(content).to_hex());
    let cached = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if cached { StatusCode::NOT_MODIFIED.into_response() } else { content.to_vec().into_response() };
    let kind = HeaderValue::from_str(&format!("{kind}; charset=utf-8"));
    let tag = HeaderValue::from_str(&tag);
    for (name, value) in [(CONTENT_TYPE, kind), (ETAG, tag), (CACHE_CONTROL, Ok(HeaderValue::from_static("no-cache")))]
    {
        // Digits and names of ours: always a header's value.
        value.map(|value| response.headers_mut().insert(name, value)).ok();
    }
    response
}
