//! Which frames belong to the protocol itself and which are actions.
//!
//! The list is closed: a method that is not on it is an action, and an action is decided.

use crate::model::FrameKind;

/// Frames that carry neither intent nor data: they set up, list, or keep alive. (MCP 2025-03-26 to 2026-07-28.)
const PROTOCOL: &[&str] = &[
    "GET",
    "DELETE",
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "logging/setLevel",
    "resources/unsubscribe",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// What a frame with this method is. `GET` and `DELETE` stand for the older era's stream and end of session.
#[must_use]
pub fn frame_kind(method: &str) -> FrameKind {
    if PROTOCOL.contains(&method) { FrameKind::Protocol } else { FrameKind::Action }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_intent_or_data_is_an_action() {
        for method in [
            "tools/call",
            "resources/read",
            "prompts/get",
            "completion/complete",
            "resources/subscribe",
            "tasks/get",
            "tasks/update",
            "subscriptions/listen",
            "sampling/createMessage",
            "elicitation/create",
            "roots/list",
            "vendor/do",
            "Ping",
            "ping ",
            "notifications/vendor",
        ] {
            assert_eq!(frame_kind(method), FrameKind::Action, "{method}");
        }
        assert_eq!(frame_kind("tools/list"), FrameKind::Protocol);
    }
}
