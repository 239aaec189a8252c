//! Protocol frames: what may pass without a decision.
//!
//! The interceptor says what a frame is; this list is the second opinion, and a frame passes only when both agree.
//! Everything that is not on it is an action. On it is what sets up, lists or keeps alive, and nothing that carries
//! intent or data to a tool: tool calls, resources, prompts, completion, subscriptions, tasks, sampling, elicitation and
//! roots are decided.

use crate::model::{Call, FrameKind, Outbound, Transport};

/// A method that may pass, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("DELETE", "ends the session of the older era; has no body"),
    ("GET", "opens the stream on which an older server speaks; has no body"),
    ("initialize", "names versions and capabilities"),
    ("logging/setLevel", "says how much the server should report back"),
    ("notifications/cancelled", "takes back a request that was decided when it came"),
    ("notifications/initialized", "ends the handshake"),
    ("notifications/progress", "reports on a request that the server sent"),
    ("notifications/roots/list_changed", "says that roots changed, not to what"),
    ("ping", "asks whether anybody is there"),
    ("prompts/list", "lists; reading a prompt is an action"),
    ("resources/list", "lists; reading a resource is an action"),
    ("resources/templates/list", "lists; reading a resource is an action"),
    ("resources/unsubscribe", "ends a subscription that was decided when it came"),
    ("server/discover", "names versions and capabilities"),
    ("tools/list", "lists; calling a tool is an action"),
];

/// The permission for one frame of the protocol, or for a client's answer to a request that its server sent.
#[derive(Debug)]
pub struct FramePermit {
    call: Call,
}

impl FramePermit {
    /// Passes a frame that needs no decision.
    ///
    /// # Errors
    /// The call itself, when it is an action or not on the list: it must be decided.
    #[expect(clippy::result_large_err, reason = "the call goes on to be decided; boxing it would cost every frame")]
    pub fn pass(call: Call) -> Result<Self, Call> {
        let method = &*call.action.method;
        let passes = match call.kind {
            FrameKind::Action => false,
            FrameKind::Protocol => may_pass(method) && carries_what_it_says(method, &call.outbound),
            // An answer names no method; the server that asked is the only one that can read it.
            FrameKind::Response => method.is_empty() && call.outbound.method == http::Method::POST,
        };
        // A plain HTTP tool has no protocol frames.
        if passes && call.client.transport != Transport::Http { Ok(Self { call }) } else { Err(call) }
    }

    /// What is sent.
    #[must_use]
    pub const fn outbound(&self) -> &Outbound {
        &self.call.outbound
    }

    /// The frame.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The frame by value: the permit is used up.
    #[must_use]
    pub fn into_call(self) -> Call {
        self.call
    }
}

fn may_pass(method: &str) -> bool {
    ALLOWED.iter().any(|(allowed, _)| *allowed == method)
}

/// `GET` and `DELETE` are HTTP's own and bring no body; everything else is posted.
fn carries_what_it_says(method: &str, outbound: &Outbound) -> bool {
    match method {
        "GET" | "DELETE" => outbound.method.as_str() == method && outbound.body.is_empty(),
        _ => outbound.method == http::Method::POST,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::intercept::frame_kind;

    fn frame(method: &str, kind: FrameKind) -> Call {
        let mut call = fixture::call("mail", "x", "{}");
        call.action.method = method.into();
        call.kind = kind;
        if matches!(method, "GET" | "DELETE") {
            call.outbound.method = method.parse().unwrap();
            call.outbound.body = bytes::Bytes::new();
        }
        call
    }

    #[test]
    fn passes_what_the_interceptor_calls_protocol_and_nothing_else() {
        for (method, reason) in ALLOWED {
            assert_eq!(frame_kind(method), FrameKind::Protocol, "{method}");
            assert!(!reason.is_empty());
            assert!(FramePermit::pass(frame(method, FrameKind::Protocol)).is_ok(), "{method}");
            assert!(FramePermit::pass(frame(method, FrameKind::Action)).is_err(), "{method}");
            assert!(FramePermit::pass(frame(method, FrameKind::Response)).is_err(), "{method}");
        }
        assert!(FramePermit::pass(frame("", FrameKind::Response)).is_ok());
    }

    #[test]
    fn a_frame_that_is_wrongly_called_protocol_is_not_permitted() {
        for method in [
            "tools/call",
            "resources/read",
            "resources/subscribe",
            "prompts/get",
            "completion/complete",
            "tasks/get",
            "tasks/update",
            "tasks/cancel",
            "subscriptions/listen",
            "sampling/createMessage",
            "elicitation/create",
            "roots/list",
            "vendor/x",
            "notifications/vendor",
            "Ping",
            "",
        ] {
            assert!(FramePermit::pass(frame(method, FrameKind::Protocol)).is_err(), "{method}");
        }
        let mut smuggled = frame("GET", FrameKind::Protocol);
        smuggled.outbound.method = http::Method::POST;
        assert!(FramePermit::pass(smuggled).is_err());
        let mut plain = frame("GET", FrameKind::Protocol);
        plain.client.transport = Transport::Http;
        assert!(FramePermit::pass(plain).is_err(), "a plain HTTP GET is an action");
    }
}
