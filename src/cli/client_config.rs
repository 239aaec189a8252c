//! The servers of a client's own configuration: `mcpServers`, as Claude, Cursor, VS Code and their kin write it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::net::Secret;
use crate::record::redact;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// By alias.
    pub(super) servers: BTreeMap<String, Server>,
    /// Secrets by the name of the file that they go into.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// What a person should know. Never a value.
    pub(super) notices: Vec<String>,
}

/// One server.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) url: Option<String>,
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) pass_environment: Vec<String>,
    pub(super) working_directory: Option<String>,
    pub(super) credentials: Vec<Credential>,
}

/// A header whose value is a secret.
#[derive(Debug)]
pub(super) struct Credential {
    pub(super) header: String,
    pub(super) prefix: String,
    pub(super) file: String,
}

/// One entry as clients write it. Members that say how the client treats it are of no interest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    #[serde(rename = "serverUrl")]
    server_url: Option<String>,
    command: Option<String>,
    args: Vec<String>,
    env: BTreeMap<String, Value>,
    cwd: Option<String>,
    headers: BTreeMap<String, String>,
    disabled: bool,
}

/// Headers that a client sends to any server and that are no credentials.
const PLAIN_HEADERS: &[&str] = &["accept", "accept-language", "content-type", "user-agent"];

impl Imported {
    /// For somebody who has none: a server to be replaced.
    pub(super) fn example() -> Self {
        let server = Server { url: Some("http://127.0.0.1:3000/mcp".into()), ..Server::default() };
        let notices = vec!["`servers` names an example; put the URL or the command of your server there".into()];
        Self { servers: BTreeMap::from([("tools".into(), server)]), notices, ..Self::default() }
    }

    fn take(&mut self, name: &str, entry: Entry) {
        let mut note = |text: &str| self.notices.push(format!("`{name}`: {text}"));
        let url = entry.url.or(entry.server_url);
        if entry.disabled {
            return note("disabled in the client, and left out");
        }
        if entry.kind.as_deref() == Some("sse") {
            return note("the HTTP+SSE transport of 2024-11-05 is not spoken here; left out");
        }
        if url.as_deref().is_some_and(|url| url.contains("${")) {
            return note("its URL has a variable; left out");
        }
        if url.is_none() && entry.command.is_none() {
            return note("neither `url` nor `command`; left out");
        }
        let alias = self.alias(name);
        let mut server = Server { working_directory: entry.cwd, ..Server::default() };
        if let Some(command) = entry.command.filter(|_| url.is_none()) {
            server.command = std::iter::once(command).chain(entry.args).collect();
            for (name, value) in entry.env {
                self.environment(&alias, &mut server, name, &value);
            }
        }
        server.url = url;
        for (header, value) in entry.headers {
            self.header(&alias, &mut server, header, &value);
        }
        self.servers.insert(alias, server);
    }

    /// A variable of a server. What may be a secret stays in the environment, and a person has to put it there.
    fn environment(&mut self, alias: &str, server: &mut Server, name: String, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown = serde_json::json!({ name.as_str(): text }).to_string();
        if redact::json_or_text(shown.as_bytes()).count > 0 || text.contains("${") {
            self.notices
                .push(format!("`{alias}`: set {name} in the environment of countersign; its value was not copied"));
            server.pass_environment.push(name);
        } else {
            server.environment.insert(name, text);
        }
    }

    fn header(&mut self, alias: &str, server: &mut Server, header: String, value: &str) {
        if PLAIN_HEADERS.contains(&header.to_ascii_lowercase().as_str()) {
            return;
        }
        if value.contains("${") {
            let note = format!(
                "`{alias}`: the header {header} has a variable; put its value into the file under `credentials`"
            );
            self.notices.push(note);
        }
        let (prefix, secret) = match value.split_once(' ') {
            Some((scheme, secret)) if header.eq_ignore_ascii_case("authorization") => (format!("{scheme} "), secret),
            _ => (String::new(), value),
        };
        let file = format!("{alias}-{}", header.to_ascii_lowercase());
        self.secrets.insert(file.clone(), Secret::new(secret));
        server.credentials.push(Credential { header, prefix, file });
    }

    /// A name that can stand in URLs and policies, once.
    fn alias(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
        let base: String = name.chars().map(plain).take(56).collect();
        let base = if base.is_empty() { "server".to_owned() } else { base };
        let alias = (2..).map(|n| format!("{base}-{n}")).find(|alias| !self.servers.contains_key(alias));
        let alias = if self.servers.contains_key(&base) { alias.unwrap_or_default() } else { base };
        if alias != name {
            self.notices.push(format!("`{name}` is called `{alias}` here"));
        }
        alias
    }
}

/// Reads a client's configuration.
///
/// # Errors
/// A sentence with the file, and the line where there is one.
pub(super) fn read(path: &Path) -> Result<Imported, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("read `{shown}`: {error}"))?;
    let root: Value = serde_json::from_str(&text).map_err(|error| {
        format!("{shown}:{}: not JSON ({error}); take out comments and commas at the end of lists", error.line())
    })?;
    let servers = root.get("mcpServers").or_else(|| root.get("servers")).and_then(Value::as_object);
    let servers = servers.ok_or_else(|| format!("`{shown}` has neither `mcpServers` nor `servers`"))?;
    let mut imported = Imported::default();
    for (name, entry) in servers {
        match serde_json::from_value::<Entry>(entry.clone()) {
            Ok(entry) => imported.take(name, entry),
            Err(error) => imported.notices.push(format!("`{name}`: {error}; left out")),
        }
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_servers_over_and_keeps_their_secrets_apart() {
        let folder = crate::net::scratch::Scratch::new();
        let path = folder.write(
            "mcp.json",
            r#"{"mcpServers":{
                "my files":{"command":"npx","args":["-y","server"],"env":{"NODE_ENV":"production","API_KEY":"s3cr3t-0123456789","TOKEN":"${TOKEN}"}},
                "mail":{"type":"http","url":"https://mail.example/mcp","headers":{"Authorization":"Bearer abcdef0123456789","Accept":"x"}},
                "old":{"type":"sse","url":"https://old.example/sse"},
                "off":{"command":"x","disabled":true},
                "none":{},
                "odd":7
            }}"#,
        );
        let imported = read(&path).unwrap();
        assert_eq!(imported.servers.keys().collect::<Vec<_>>(), ["mail", "my-files"]);
        let files = &imported.servers["my-files"];
        assert_eq!(files.command, ["npx", "-y", "server"]);
        assert_eq!(files.environment.keys().collect::<Vec<_>>(), ["NODE_ENV"]);
        assert_eq!(files.pass_environment, ["API_KEY", "TOKEN"]);
        let mail = &imported.servers["mail"].credentials;
        assert_eq!((mail.len(), &*mail[0].prefix, &*mail[0].file), (1, "Bearer ", "mail-authorization"));
        assert_eq!(imported.secrets["mail-authorization"].expose(), "abcdef0123456789");
        assert_eq!(imported.notices.len(), 7, "{:?}", imported.notices);
        assert!(imported.notices.iter().all(|notice| !notice.contains("s3cr3t")));
    }
}
