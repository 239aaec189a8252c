//! The product as a user runs it: a binary that somebody has built, a configuration, nothing else. This is the only file
//! of the bench that knows what the configuration looks like.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::Fallible;
use super::child::free_port;
use super::lab::{Lab, target_folder};
use super::wire::Target;

/// What of the product is switched on, and how much of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Policy and receipts. Without them it only passes bytes on.
    pub(crate) mediation: bool,
    /// Policy rules; [`RULES_APPLYING`] of them look at the call that is made.
    pub(crate) rules: usize,
    /// Exporters, each writing every event to a file of its own.
    pub(crate) destinations: usize,
}

impl Shape {
    /// What the targets mean by "everything on".
    pub(crate) const EVERYTHING: Self = Self { mediation: true, rules: 100, destinations: 1 };
    /// The same binary without policy and receipts.
    pub(crate) const PASS_THROUGH: Self = Self { mediation: false, rules: 0, destinations: 0 };
}

/// Rules about the very operation that is called: the others are about other operations, as in a real policy.
const RULES_APPLYING: usize = 10;

/// Where the product's own messages go.
const OUTPUT: &str = "output.log";

/// The binary under test: `COUNTERSIGN_BIN`, else the `dist` build, else the `release` build. Never built here.
///
/// # Errors
/// There is none.
pub(crate) fn find() -> Fallible<PathBuf> {
    if let Some(named) = std::env::var_os("COUNTERSIGN_BIN") {
        return Ok(PathBuf::from(named));
    }
    let target = target_folder()?;
    let places = ["dist", "release"].map(|profile| target.join(profile).join("countersign"));
    places.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        "there is no binary: build it with `cargo build --profile dist`, or name it in COUNTERSIGN_BIN".into()
    })
}

/// The last thing that the product in `directory` said: why it did not start, as a rule.
pub(crate) fn last_words(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(directory.join(OUTPUT)).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

/// The product in `directory`, in front of the server of `lab`, and where to call it.
///
/// # Errors
/// There is no binary, or it has no configuration of this shape.
pub(crate) fn command(shape: Shape, directory: &Path, lab: &Lab) -> Fallible<(Command, Target)> {
    if !shape.mediation {
        return Err("the product has no configuration without policy and receipts".into());
    }
    let program = find()?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let key = format!("csk_{}", URL_SAFE_NO_PAD.encode(countersign::net::random_bytes::<32>()?));
    let file = directory.join("countersign.yaml");
    std::fs::write(directory.join("bench.policy.yaml"), policy(shape.rules))?;
    std::fs::write(&file, configuration(shape, directory, address, admin, lab.upstream, &key))?;
    let output = std::fs::File::create(directory.join(OUTPUT))?;
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg("--quiet")
        .arg("-c")
        .arg(file)
        .stdout(Stdio::from(output.try_clone()?))
        .stderr(Stdio::from(output));
    Ok((command, Target { address, path: "/mcp/bench", bearer: Some(key), era: lab.era }))
}

fn configuration(
    shape: Shape,
    directory: &Path,
    listen: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
    key: &str,
) -> String {
    let (place, hash) = (directory.display(), hex(&Sha256::digest(key)));
    let exporter =
        |number: usize| format!("{{ type: file, name: file-{number}, path: {place}/events-{number}.jsonl }}");
    let exporters = (0..shape.destinations).map(exporter).collect::<Vec<_>>().join(", ");
    format!(
        "listen: {listen}
admin: {{ listen: {admin} }}
data_dir: {place}/data
mode: enforce
servers: {{ bench: {{ url: \"http://{upstream}/mcp\" }} }}
identity:
  api_keys:
    - {{ name: bench, hash: \"sha256:{hash}\", human: bench@example.com, service: bench, agent: bench-agent }}
policies: [ {place}/bench.policy.yaml ]
telemetry:
  exporters: [ {exporters} ]
"
    )
}

/// `rules` rules of which one allows the call and the others must be found not to forbid it.
pub(crate) fn policy(rules: usize) -> String {
    let mut text = String::from(
        "policy:
  id: bench
  version: \"1\"
rules:
  - id: allow-echo
    match: { tool: bench, operation: echo, parameters: { text: { length: { lte: 4096 } } } }
    action: ALLOW
    reason: the text may be echoed
",
    );
    for number in 1..rules {
        let (operation, wanted) = if number < RULES_APPLYING {
            ("echo".to_owned(), format!("text: {{ matches: \"forbidden-{number}-[a-z]+\" }}"))
        } else {
            (format!("operation_{number}"), format!("value: {{ gt: {number} }}"))
        };
        text.push_str(&format!(
            "  - id: rule-{number}
    match: {{ tool: bench, operation: {operation}, parameters: {{ {wanted} }} }}
    action: DENY
    reason: rule {number} forbids it
"
        ));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
