//! The words of MCP that the demo's server and its agent share.

/// The stateless era.
pub(super) const MODERN: &str = "2026-07-28";
/// The newest version of the era with sessions.
pub(super) const LEGACY: &str = "2025-11-25";
/// `_meta` key of the version, in every request of the stateless era.
pub(super) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// `_meta` key of the client's capabilities, in every request of the stateless era.
pub(super) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// `_meta` key of the client's name.
pub(super) const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// `_meta` key of the server's name, in results of the stateless era.
pub(super) const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// Header of the version.
pub(super) const HEADER_VERSION: &str = "mcp-protocol-version";
/// Header that repeats the method.
pub(super) const HEADER_METHOD: &str = "mcp-method";
/// Header that repeats the name of what is called.
pub(super) const HEADER_NAME: &str = "mcp-name";
/// Header of the session, in the era with sessions.
pub(super) const HEADER_SESSION: &str = "mcp-session-id";
/// Header by which the proxy tells a server the id of the action.
pub(super) const HEADER_ACTION: &str = "countersign-action";

/// Largest body that either side reads, bytes: the whole customer list is a tenth of it.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;
