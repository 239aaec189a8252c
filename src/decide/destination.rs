//! Where the effect of an action goes, as far as its parameters tell.
//!
//! This names the destination for evidence and for `context.destination`. It looks at the members that tools commonly
//! use; a rule that must not miss one tests the parameter itself.

use serde_json::Value;

use super::domain::{DomainSet, domains};
use crate::model::{Action, Destination};

/// Members that say where something goes. Not `from`, nor anything that only mentions a place.
const MEMBERS: &[&str] = &[
    "address",
    "bcc",
    "cc",
    "destination",
    "email",
    "endpoint",
    "host",
    "recipient",
    "recipients",
    "to",
    "uri",
    "url",
    "webhook",
    "webhook_url",
];

/// Deepest nesting that is looked into: a list of objects with an address each.
const DEPTH_MAX: usize = 3;

/// The first place outside, else the first inside, else nothing.
pub(super) fn find(action: &Action, internal: &DomainSet) -> Option<Destination> {
    let mut places = Vec::new();
    if action.method.starts_with("resources/") && action.operation.contains("://") {
        places.extend(domains(&action.operation).flatten());
    }
    if let Value::Object(members) = &*action.arguments.value {
        members.iter().filter(|(name, _)| is_place(name)).for_each(|(_, value)| collect(value, DEPTH_MAX, &mut places));
    }
    let outside = places.iter().find(|place| !internal.contains(place));
    match (outside, places.first()) {
        (Some(outside), _) => Some(Destination::External(outside.as_str().into())),
        (None, Some(inside)) => Some(Destination::Internal(inside.as_str().into())),
        (None, None) => None,
    }
}

fn is_place(name: &str) -> bool {
    MEMBERS.iter().any(|member| member.eq_ignore_ascii_case(name))
}

fn collect(value: &Value, depth: usize, places: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, depth, places)),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| is_place(name)).for_each(|(_, value)| collect(value, depth, places));
        }
        Value::String(text) => places.extend(domains(text).flatten()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::call;
    use super::*;

    #[test]
    fn names_the_first_place_outside() {
        let internal = DomainSet::new(["corp.example"]).unwrap();
        let outside = |name: &str| Some(Destination::External(name.into()));
        for (arguments, expected) in [
            (r#"{"to":"ann@corp.example"}"#, Some(Destination::Internal("corp.example".into()))),
            (r#"{"to":["ann@corp.example","eve@evil.test"]}"#, outside("evil.test")),
            (r#"{"recipients":[{"email":"eve@evil.test","name":"x.test"}]}"#, outside("evil.test")),
            (r#"{"URL":"https://api.evil.test/x"}"#, outside("api.evil.test")),
            (r#"{"from":"eve@evil.test","body":"see https://evil.test"}"#, None),
            (r##"{"to":"#general"}"##, None),
        ] {
            assert_eq!(find(&call("mail", "send", arguments).action, &internal), expected, "{arguments}");
        }
        let mut read = call("web", "https://evil.test/page", "{}").action;
        read.method = "resources/read".into();
        assert_eq!(find(&read, &internal), outside("evil.test"));
    }
}
