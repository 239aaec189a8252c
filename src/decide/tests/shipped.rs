//! The policies that ship: they load, and they say what they are meant to say.

use crate::decide::fixture::{Case, tool};
use crate::decide::{PolicySet, Settings, shipped};
use crate::model::{Severity, Verdict};

fn compiled(name: &str) -> PolicySet {
    let settings = Settings { internal_domains: vec!["corp.example".into()], ..Settings::default() };
    PolicySet::compile(&[shipped(name).unwrap()], &settings).unwrap_or_else(|errors| panic!("{errors}"))
}

fn check(set: &PolicySet, rows: &[(&str, &str, &str, Verdict, Option<&str>)]) {
    for (server, operation, arguments, verdict, rule) in rows {
        let decision = Case::new(server, operation, arguments).decide(set).0;
        let decided = (decision.verdict, decision.policy.rule_id.as_deref());
        assert_eq!(decided, (*verdict, *rule), "{server}.{operation} {arguments}: {}", decision.reason);
    }
}

#[test]
fn the_demo_reaches_all_five_decisions() {
    use Verdict::{Allow, Defer, Deny, Modify, StepUp};
    check(
        &compiled("demo"),
        &[
            ("mail", "read_inbox", "{}", Allow, Some("mail-read")),
            ("mail", "send_email", r#"{"to":"ann@corp.example","body":"hi"}"#, Allow, Some("mail-inside")),
            ("mail", "send_email", r#"{"to":["ann@corp.example","eve@evil.test"]}"#, Deny, Some("mail-outside")),
            ("mail", "send_email", r#"{"to":"ann@corp.example","bcc":"eve@evil.test"}"#, Deny, Some("mail-outside")),
            (
                "mail",
                "send_email",
                r#"{"to":"eve@evil.test","attachments":["plan.pdf"]}"#,
                Deny,
                Some("mail-outside-with-attachments"),
            ),
            ("mail", "send_email", r#"{"to":"eve@evil.test","attachments":[]}"#, Deny, Some("mail-outside")),
            ("mail", "send_email", r#"{"to":"ann"}"#, Defer, Some("mail-inside")),
            ("mail", "delete_email", r#"{"id":1}"#, Deny, None),
            ("database", "query", r#"{"table":"orders","limit":10}"#, Allow, Some("query")),
            ("database", "query", r#"{"table":"orders","limit":100000}"#, Modify, Some("query-limit")),
            ("database", "query", r#"{"table":"orders"}"#, Modify, Some("query-limit")),
            ("database", "query", r#"{"sql":"DELETE FROM orders","limit":1}"#, Deny, Some("query-only-reads")),
            ("database", "delete_rows", r#"{"table":"orders","where":"1=1"}"#, Defer, Some("delete-rows")),
            ("files", "list_files", r#"{"path":"/shared"}"#, Allow, Some("files-read")),
            ("files", "read_file", r#"{"path":"/shared/../etc/passwd"}"#, Deny, Some("files-outside")),
            ("files", "read_file", r#"{"path":"/home/ann/.ssh/id_ed25519"}"#, Deny, Some("files-outside")),
            ("payments", "transfer", r#"{"to":"x","amount":1000}"#, Allow, Some("transfer-small")),
            ("payments", "transfer", r#"{"to":"x","amount":1000.01}"#, StepUp, Some("transfer-large")),
            ("payments", "transfer", r#"{"to":"x","amount":-5}"#, Deny, None),
            ("payments", "transfer", r#"{"to":"x","amount":"5"}"#, Defer, Some("transfer-large")),
            ("other", "read_inbox", "{}", Deny, None),
        ],
    );
}

#[test]
fn the_demos_rules_hold_with_schemas_that_declare_what_may_be_missing() {
    let set = compiled("demo");
    let mut case = Case::new("mail", "send_email", r#"{"to":"ann@corp.example"}"#);
    case.tool = Some(tool(
        r#"{"type":"object","properties":{"to":{"type":"string"},"cc":{"type":"string"},"attachments":{}}}"#,
    ));
    assert_eq!(case.decide(&set).0.verdict, Verdict::Allow);
    let mut case = Case::new("mail", "send_email", r#"{"to":"x@evil.test","attachments":["f"]}"#);
    case.tool = Some(tool(r#"{"type":"object"}"#));
    assert_eq!(case.decide(&set).0.severity, Severity::Critical);
}

#[test]
fn the_baseline_lets_agents_read_and_asks_for_the_rest() {
    use Verdict::{Allow, Defer, Deny, StepUp};
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    check(
        &compiled("baseline"),
        &[
            ("any", "read_file", r#"{"path":"/x","n":1.5,"o":{"a":[null,true]}}"#, Allow, Some("reading")),
            ("any", "getWeather", "{}", Allow, Some("reading")),
            ("any", "list_messages", "{}", Allow, Some("reading")),
            ("any", "get_refunds", "{}", Allow, Some("reading")),
            ("any", "send_message", r#"{"to":"ann@corp.example"}"#, StepUp, Some("sending")),
            (
                "any",
                "send_message",
                r#"{"to":"eve@evil.test","files":["a"]}"#,
                Deny,
                Some("no-attachments-to-outsiders"),
            ),
            (
                "any",
                "send_message",
                r#"{"recipients":[{"email":"eve@evil.test"}],"files":["a"]}"#,
                Defer,
                Some("no-attachments-to-outsiders"),
            ),
            ("any", "get_and_delete", "{}", StepUp, Some("deleting")),
            ("any", "pay_invoice", "{}", StepUp, Some("paying")),
            ("any", "execute_command", "{}", StepUp, Some("running")),
            ("any", "read_password", "{}", StepUp, Some("access")),
            ("any", "write_file", "{}", StepUp, Some("changing")),
            ("any", "sql_query", r#"{"q":"drop  table x"}"#, Deny, Some("no-destructive-sql")),
            ("any", "read_file", &format!(r#"{{"note":[{{"x":"{key}"}}]}}"#), Deny, Some("secrets-stay")),
            ("any", "frobnicate", "{}", Deny, None),
        ],
    );
    let mut case = Case::new("any", "file:///x", "{}");
    case.call.action.method = "resources/read".into();
    assert_eq!(case.decide(&compiled("baseline")).0.verdict, Allow);
}

#[test]
fn every_file_in_the_folder_loads_with_every_other() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            sources.push(crate::decide::PolicySource { name, text: std::fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(sources.len() >= 2);
    let set = PolicySet::compile(&sources, &Settings::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(set.policies().all(|policy| policy.description.is_some() && &*policy.reference.version != "unversioned"));
}
