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

/// Tool annotations, as far as the server says anything. Hints of the server, never facts: they may make an action look
/// more dangerous than its name, and never less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolHints {
    /// `readOnlyHint`
    pub read_only: Option<bool>,
    /// `destructiveHint`
    pub destructive: Option<bool>,
    /// `idempotentHint`
    pub idempotent: Option<bool>,
    /// `openWorldHint`
    pub open_world: Option<bool>,
}

impl ToolHints {
    /// The server says that the tool may take something away. The word counts only beside `readOnlyHint: false` (MCP).
    #[must_use]
    pub fn declares_destructive(&self) -> bool {
        self.destructive == Some(true) && self.read_only != Some(true)
    }

    /// The server says that the tool has an effect.
    #[must_use]
    pub fn declares_effect(&self) -> bool {
        self.read_only == Some(false) || self.declares_destructive()
    }

    /// The server says that the tool reaches whoever is outside.
    #[must_use]
    pub fn declares_open_world(&self) -> bool {
        self.open_world == Some(true)
    }
}
