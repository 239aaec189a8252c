//! Tools that answer at once, from constants: one per kind of content, and the synchronous greeting.

use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock, ResourceContents};

/// A PNG of one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// A WAV header without samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// The result of a tool of this kind, or `None` when the name belongs elsewhere.
pub(crate) fn call(name: &str, request: &CallToolRequestParams) -> Option<CallToolResult> {
    let blocks = match name {
        "test_simple_text" => vec![ContentBlock::text("This is a simple text response for testing.")],
        "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => vec![embedded("text/plain", "This is an embedded resource content.", "embedded")],
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::image(PNG, "image/png"),
            embedded("application/json", r#"{"test":"data","value":123}"#, "mixed-content"),
        ],
        "test_error_handling" => {
            let text = "This tool intentionally returns an error for testing";
            return Some(CallToolResult::error(vec![ContentBlock::text(text)]));
        }
        "json_schema_2020_12_tool" => vec![ContentBlock::text(format!("Received {}", arguments(request)))],
        "test_custom_header" => vec![ContentBlock::text(format!("Region: {}", argument(request, "region")))],
        "greet" => vec![ContentBlock::text(format!("Hello, {}!", argument(request, "name")))],
        _ => return None,
    };
    Some(CallToolResult::success(blocks))
}

/// A result of one text block.
pub(crate) fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// The text of a string argument; empty when it is absent or of another type.
pub(crate) fn argument<'a>(request: &'a CallToolRequestParams, name: &str) -> &'a str {
    request.arguments.as_ref().and_then(|arguments| arguments.get(name)?.as_str()).unwrap_or_default()
}

fn arguments(request: &CallToolRequestParams) -> String {
    serde_json::to_string(&request.arguments).unwrap()
}

fn embedded(mime_type: &str, text: &str, name: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(text, format!("test://{name}-resource")).with_mime_type(mime_type))
}
