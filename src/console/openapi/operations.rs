//! Every operation of the API.

use super::Operation;
use crate::console::Role::{self, Admin, Approver, Viewer};

const fn read(
    path: &'static str,
    what: &'static str,
    query: &'static [&'static str],
    answer: &'static str,
) -> Operation {
    Operation { method: "get", path, role: Viewer, what, query, body: &[], answer }
}

const fn change(
    role: Role,
    path: &'static str,
    what: &'static str,
    body: &'static [&'static str],
    answer: &'static str,
) -> Operation {
    Operation { method: "post", path, role, what, query: &[], body, answer }
}

const SCOPE: &[&str] = &["scope:Scope!", "reason:string!", "expires:time"];
const REASON: &[&str] = &["reason:string!"];
const GRANT: &[&str] = &["minutes:integer!", "this_session:boolean", "pointer:string", "uses_max:integer"];
const BREAK_GLASS: &[&str] = &["scope:Scope!", "reason:string!", "ticket:string!", "minutes:integer!"];
const SEARCH: &[&str] = &[
    "session:string",
    "agent:string",
    "human:string",
    "tool:string",
    "decision:ALLOW|DENY|MODIFY|STEP_UP|DEFER",
    "kind:string",
    "since:time",
    "until:time",
    "before:integer",
    "limit:integer",
];
const SESSION: &[&str] = &[
    "human:string",
    "service:string",
    "agent:string",
    "intent:string",
    "intent_class:string",
    "expires_in_s:integer",
    "session_id:string",
];
const WAITING: &[&str] = &["status:pending|all", "offset:integer", "limit:integer"];

pub(super) const OPERATIONS: &[Operation] = &[
    read("/me", "Who the token stands for", &[], "Me"),
    read("/openapi.json", "This document", &[], "object"),
    read("/actions", "The newest entries about actions, as durable", &["from:integer"], "Actions"),
    read("/approvals", "Requests to people: those that wait first, by risk", WAITING, "Approvals"),
    read("/approvals/{id}", "Everything about one request", &[], "Approval"),
    change(Approver, "/approvals/{id}/approve", "Says yes to a request", &["reason:string"], "Answered"),
    change(Approver, "/approvals/{id}/deny", "Says no to a request", REASON, "Answered"),
    change(
        Approver,
        "/approvals/decide",
        "One answer to at most 100 requests for exactly the same",
        &["ids:[]string!", "decision:approve|deny!", "reason:string"],
        "[]Answered",
    ),
    change(Approver, "/approvals/{id}/grant", "Gives a standing permission for what a request asks", GRANT, "Made"),
    read("/grants", "Standing permissions", &[], "Grants"),
    change(Approver, "/grants/{id}/revoke", "Takes a standing permission back", REASON, "Made"),
    read("/controls", "Kill switches and break-glass", &[], "Controls"),
    change(Admin, "/controls/suspend", "The kill switch: holds everything in a scope", SCOPE, "Made"),
    change(Admin, "/controls/break-glass", "Asks for break-glass; a second person confirms", BREAK_GLASS, "Made"),
    change(Admin, "/controls/{id}/confirm", "The second person confirms break-glass", &[], "Made"),
    change(Admin, "/controls/{id}/resume", "Ends a control", REASON, "Made"),
    change(Admin, "/controls/{id}/review", "Reviews what break-glass was used for", REASON, "Made"),
    read("/sessions", "Sessions, used last first", SEARCH, "Sessions"),
    change(Admin, "/sessions", "Signs a session token", SESSION, "SessionToken"),
    read("/sessions/{id}", "The entries of a session, oldest first", &["from:integer", "limit:integer"], "Session"),
    Operation {
        method: "delete",
        path: "/sessions/{id}",
        role: Admin,
        what: "Ends a session",
        query: &[],
        body: &[],
        answer: "",
    },
    read("/receipts", "The log, searched, newest first", SEARCH, "Receipts"),
    read("/receipts/{id}", "A receipt, an action or an entry, with what its proof takes", &[], "Receipt"),
    read("/policies", "The policies in force, rules with counts, the latest loads", &[], "Policies"),
    change(Admin, "/policies/reload", "Looks at the policy files now", &[], "Looked"),
    read("/destinations", "How deliveries are", &[], "Destinations"),
    read(
        "/destinations/{name}/dead-letters",
        "What a receiver rejected, newest first",
        &["offset:integer"],
        "DeadLetters",
    ),
    change(
        Admin,
        "/destinations/{name}/replay",
        "Sends at most 1,000 entries again",
        &["from:integer!", "to:integer"],
        "Replayed",
    ),
    read("/tools/{server}", "The pinned tools of a server", &[], "object"),
    change(Admin, "/tools/{server}/accept", "Accepts changed definitions of tools", &["tool:string"], "Accepted"),
];
