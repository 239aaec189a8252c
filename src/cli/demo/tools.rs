//! The tools of the four servers: what each is called, what it takes, what it does to the [`Office`].

use serde_json::{Map, Value, json};

use super::office::Office;

/// One of the four servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// The database.
    Database,
    /// The files.
    Files,
    /// The mail.
    Mail,
    /// The payments.
    Payments,
}

impl Domain {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Database, Self::Files, Self::Mail, Self::Payments];

    /// Its name: in paths, in the configuration of the proxy, in policies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Files => "files",
            Self::Mail => "mail",
            Self::Payments => "payments",
        }
    }

    /// The domain of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|domain| domain.as_str() == name)
    }
}

/// The definitions of a server's tools, as `tools/list` gives them.
pub(super) fn definitions(domain: Domain) -> Vec<Value> {
    let text = || json!({"type": "string"});
    match domain {
        Domain::Database => vec![
            definition(
                ("query", "Reads rows of a table.", true),
                &[("table", text()), ("limit", json!({"type": "integer", "minimum": 1}))],
            ),
            definition(("delete_rows", "Deletes every row of a table.", false), &[("table", text())]),
        ],
        Domain::Files => vec![
            definition(("list_files", "Names the files.", true), &[]),
            definition(("read_file", "Reads a file.", true), &[("path", text())]),
        ],
        Domain::Mail => vec![
            definition(("read_inbox", "Reads the mails of the day.", true), &[]),
            definition(
                ("send_email", "Sends a mail.", false),
                &[("to", text()), ("subject", text()), ("body", text())],
            ),
        ],
        Domain::Payments => vec![definition(
            ("transfer", "Moves money out of the company's account, in euros.", false),
            &[("account", text()), ("amount", json!({"type": "integer", "minimum": 1})), ("reference", text())],
        )],
    }
}

/// One tool: (name, what it does, whether it only reads), and its arguments, all of them required.
fn definition((name, description, reads): (&str, &str, bool), arguments: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        arguments.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect();
    let required: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    json!({
        "name": name,
        "description": description,
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        },
        "annotations": {"readOnlyHint": reads, "destructiveHint": !reads, "openWorldHint": false},
    })
}

/// Why a call did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotDone {
    /// The server has no tool of that name: an error of the protocol.
    UnknownTool,
    /// The tool could not do it: a result for the model to read.
    Failed(String),
}

/// Calls a tool and gives the text that the model reads.
///
/// # Errors
/// [`NotDone`]; nothing has happened then.
pub(super) fn call(office: &Office, domain: Domain, tool: &str, arguments: &Value) -> Result<String, NotDone> {
    let text = |name: &str| {
        let found = arguments.get(name).and_then(Value::as_str);
        found.ok_or_else(|| NotDone::Failed(format!("`{name}` must be a text")))
    };
    let number = |name: &str| {
        let found = arguments.get(name).and_then(Value::as_i64).filter(|number| *number > 0);
        found.ok_or_else(|| NotDone::Failed(format!("`{name}` must be a positive whole number")))
    };
    let no_table = |name: &str| NotDone::Failed(format!("there is no table `{name}`"));
    match (domain, tool) {
        (Domain::Database, "query") => {
            let (table, limit) = (text("table")?, number("limit")?);
            let rows = office.query(table, usize::try_from(limit).unwrap_or(usize::MAX));
            rows.map(|rows| Value::Array(rows).to_string()).ok_or_else(|| no_table(table))
        }
        (Domain::Database, "delete_rows") => {
            let table = text("table")?;
            office.delete(table).map(|rows| format!("{rows} rows deleted")).ok_or_else(|| no_table(table))
        }
        (Domain::Files, "list_files") => Ok(Office::files().map(|(name, _)| name).join("\n")),
        (Domain::Files, "read_file") => {
            let path = text("path")?;
            let found = Office::files().into_iter().find(|(name, _)| *name == path);
            found.map(|(_, content)| content.to_owned()).ok_or_else(|| NotDone::Failed(format!("no file `{path}`")))
        }
        (Domain::Mail, "read_inbox") => Ok(Office::inbox().to_string()),
        (Domain::Mail, "send_email") => {
            let (to, _subject, body) = (text("to")?, text("subject")?, text("body")?);
            office.send(to, body);
            Ok(format!("sent to {to}"))
        }
        (Domain::Payments, "transfer") => {
            let (account, amount, _reference) = (text("account")?, number("amount")?, text("reference")?);
            office.transfer(account, amount);
            Ok(format!("{amount} EUR paid to {account}"))
        }
        _ => Err(NotDone::UnknownTool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defined_tool_can_be_called_and_no_other() {
        let office = Office::open();
        let arguments = json!({"table": "audit_log", "limit": 3, "path": "plans.md", "to": "a@example.com",
            "subject": "s", "body": "b", "account": "XX", "amount": 1, "reference": "r"});
        let mut called = 0;
        for domain in Domain::ALL {
            assert_eq!(Domain::parse(domain.as_str()), Some(domain));
            for tool in definitions(domain) {
                let name = tool["name"].as_str().unwrap();
                assert_ne!(call(&office, domain, name, &arguments), Err(NotDone::UnknownTool), "{name}");
                assert!(jsonschema::validator_for(&tool["inputSchema"]).is_ok(), "{name}");
                called += 1;
            }
            assert_eq!(call(&office, domain, "nothing", &arguments), Err(NotDone::UnknownTool));
        }
        assert_eq!(called, 7);
    }

    #[test]
    fn bad_arguments_do_nothing() {
        let office = Office::open();
        for arguments in [json!({}), json!({"account": "XX", "amount": -5, "reference": ""}), json!([])] {
            assert!(matches!(call(&office, Domain::Payments, "transfer", &arguments), Err(NotDone::Failed(_))));
        }
        assert!(office.effects().harms.is_empty());
    }
}
