//! What a server says about its tools.

use std::sync::Arc;

use super::Digest;

/// One tool definition as a server listed it.
#[derive(Clone, Debug)]
pub struct ToolDefinition {
    /// The tool's name.
    pub name: Arc<str>,
    /// Digest of the definition's text as listed: name, description, schemas, annotations.
    pub digest: Digest,
    /// The `inputSchema` member.
    pub input_schema: serde_json::Value,
    /// The annotations.
    pub hints: ToolHints,
    /// Arguments mirrored in `Mcp-Param-*` headers: (JSON pointer into the arguments, header suffix). MCP 2026-07-28,
    /// `x-mcp-header`.
    pub mirrored: Vec<(String, String)>,
}

/// Tool annotations. A hint of the server, never a fact: untrusted unless the operator trusts the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolHints {
    /// `readOnlyHint`
    pub read_only: bool,
    /// `destructiveHint`
    pub destructive: bool,
    /// `idempotentHint`
    pub idempotent: bool,
    /// `openWorldHint`
    pub open_world: bool,
}

impl Default for ToolHints {
    /// The defaults of the MCP schema: the careful reading of each.
    fn default() -> Self {
        Self { read_only: false, destructive: true, idempotent: false, open_world: true }
    }
}
