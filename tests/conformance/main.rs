//! The MCP server that the official conformance suite is run against, directly and through the proxy.
//!
//! It serves both eras of the protocol on one endpoint, `http://127.0.0.1:$PORT/mcp`, and offers exactly the tools,
//! prompts and resources whose names the suite expects. With `PORT=0` the system chooses; the line it prints once it
//! accepts connections names the address. It does what each name promises and nothing else: it reads no file, starts no
//! process and opens no outgoing connection, so a stand that runs it depends on nothing but itself.
#![expect(deprecated, reason = "sampling, roots and logging are deprecated in 2026-07-28 and still part of the suite")]
#![expect(clippy::unwrap_used, reason = "a literal that does not parse is a mistake in this fixture: stop at once")]

mod ask;
mod catalogue;
mod content;
mod disconnect;
mod fixture;
mod jobs;
mod prompts;
mod resources;
mod rounds;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use crate::disconnect::DisconnectingSessions;
use crate::fixture::{Fixture, Shared};

/// How long a client is told to wait before it reconnects to a stream that the server ended early. Short, because
/// every test of reconnection waits for it.
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::var("PORT").map_or(Ok(0), |text| text.parse())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let shared = Arc::new(Shared::new());
    let service = StreamableHttpService::new(
        move || Ok(Fixture::new(Arc::clone(&shared))),
        Arc::new(DisconnectingSessions::new(RECONNECT_AFTER)),
        // The library checks `Host` only. `Origin` stays unchecked on purpose: a proxy that hides a hostile `Host` from
        // this server and checks nothing itself must show up in `dns-rebinding-protection`.
        StreamableHttpServerConfig::default().with_sse_retry(Some(RECONNECT_AFTER)),
    );
    println!("conformance-server listening on http://{}/mcp", listener.local_addr()?);
    // Small events must leave at once: a delay of this server would look like one of the proxy.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, axum::Router::new().route_service("/mcp", service)).await?;
    Ok(())
}
