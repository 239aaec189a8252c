//! A configuration or policy that is wrong: one line that says where and what to do, exit code 2, nothing started.

use std::path::{Path, PathBuf};

use crate::harness::Folder;
use crate::instance::command;

const SERVER: &str = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\ndata_dir: data\n\
                      servers: { t: { url: 'http://127.0.0.1:9/mcp' } }\n";

const POLICY: &str = "policy: { id: a, version: '1' }\nrules:\n";

/// What is wrong, appended to a configuration that is right; where the line says it is, and what else it says.
const CONFIGURATIONS: &[(&str, &str, &str)] = &[
    ("lissten: x", "bad.yaml:5:", "unknown field `lissten`, expected one of listen"),
    ("servers: {}", "bad.yaml:5:", "duplicate"),
    ("mode: maybe", "bad.yaml:5:", "expected one of enforce, shadow"),
    ("outcome: [1", "bad.yaml:5:", "correct the line"),
    ("sessions: { sessions_max: many }", "bad.yaml:5:", "invalid u64"),
    ("tls: { certificate: a.pem }", "bad.yaml:5:", "key"),
    ("record: { segment_bytes: -1 }", "bad.yaml:5:", "invalid u64"),
    ("record: { segment_bytes: 5 }", "segment_bytes", "at least 262144"),
    ("record: { reserved_bytes: 67108864 }", "segment_bytes", "at least twice"),
    ("name: 'a b+c'", "`name`", "must be a host name"),
    ("telemetry: { exporters: [ { type: splonk } ] }", "bad.yaml:5:", "unknown variant `splonk`"),
    ("telemetry: { exporters: [ { type: stdout }, { type: stdout } ] }", "`stdout`", "give one of them another `name`"),
    ("policies: [nothing.yaml]", "nothing.yaml", "correct `policies`"),
    ("tls: { certificate: no.pem, key: no.key }", "no.pem", "No such file"),
    ("identity: { api_keys: [ { name: a, hash: 'sha256:00', agent: x } ] }", "bad.yaml:5:", "64 hexadecimal digits"),
    (
        "identity: { api_keys: [ { name: a, hash: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' } ] }",
        "`a`",
        "names no human, no service and no agent",
    ),
    ("identity: { jwt: [ { issuer: i, audience: a, algorithms: [ES256] } ] }", "`i`", "exactly one of `jwks_file`"),
    ("identity: { jwt: [ { issuer: i, audience: a, algorithms: [none], jwks_file: f } ] }", "bad.yaml:5:", "none"),
];

/// Whole configurations that are wrong.
const WHOLE: &[(&str, &str, &str)] = &[
    ("", "`servers`", "name at least one server"),
    ("listen: 127.0.0.1:0", "`servers`", "name at least one server"),
    ("- a\n- b", "bad.yaml:1:", "correct the line"),
    ("servers: { t: { url: 'http://127.0.0.1:9/' } }\nlisten: nonsense", "`listen`", "an address like"),
    ("servers: { t: { url: 'http://127.0.0.1:9/' } }\nlisten: 0.0.0.0:0", "`listen`", "configure `tls`"),
    (
        "servers: { t: { url: 'http://127.0.0.1:9/' } }\nlisten: 0.0.0.0:0\ntls: { certificate: a, key: b }",
        "`listen`",
        "configure `identity`",
    ),
    ("servers: { t: { url: 'http://127.0.0.1:9/' } }\nadmin: { listen: 0.0.0.0:0 }", "`admin.listen`", "use loopback"),
    ("servers: { t: { url: 'ftp://x' } }", "`servers.t.url`", "http or https"),
    ("servers: { t: { url: 'http://a/', command: [x] } }", "`servers.t`", "exactly one of"),
    ("servers: { t: {} }", "`servers.t`", "exactly one of"),
    ("servers: { 'a b': { url: 'http://a/' } }", "`servers.a b`", "letters, digits"),
    ("servers: { t: { url: 'http://a/', timeout_s: 0 } }", "`servers.t`", "at least 1"),
    (
        "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\ndata_dir: data\nservers: { t: { url: 'http://a/', credentials: [ { header: X, secret: { env: COUNTERSIGN_NO_SUCH } } ] } }",
        "`servers.t.credentials`",
        "COUNTERSIGN_NO_SUCH",
    ),
];

/// Policies that are wrong, behind a head that is right: the line, and what the error says.
const POLICIES: &[(&str, &str, &str)] = &[
    ("  - id: x\n    match: { oparation: [a] }\n    action: ALLOW", "policy.yaml:4:", "did you mean `operation`"),
    ("  - id: x\n    match: {}\n    action: ALOW", "policy.yaml:5:", "did you mean `ALLOW`"),
    (
        "  - { id: x, match: {}, action: ALLOW }\n  - { id: x, match: {}, action: DENY }",
        "policy.yaml:4:",
        "id of its own",
    ),
    (
        "  - { id: x, match: { parameters: { a: { matches: '(' } } }, action: DENY }",
        "policy.yaml:3:",
        "regular expression",
    ),
    ("  - { id: x, match: {}, action: ALLOW }\nfoo: 1", "policy.yaml:4:", "unknown key `foo`"),
    ("  - [", "policy.yaml:3:", "correct the line"),
];

async fn refused(folder: &Path, arguments: &[&str], place: &str, remedy: &str) {
    let (code, output) = command(folder, arguments).await;
    assert_eq!(code, 2, "{output}");
    assert_eq!(output.lines().count(), 1, "one line: {output}");
    assert!(output.contains(place) && output.contains(remedy), "expected `{place}` and `{remedy}`: {output}");
    assert!(!folder.join("data").exists(), "something was started: {output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_starts_nothing() {
    let folder = Folder::new();
    let appended = CONFIGURATIONS.iter().map(|(text, place, remedy)| (format!("{SERVER}{text}\n"), place, remedy));
    let whole = WHOLE.iter().map(|(text, place, remedy)| ((*text).to_owned(), place, remedy));
    for (text, place, remedy) in appended.chain(whole) {
        std::fs::write(folder.0.join("bad.yaml"), &text).unwrap();
        refused(&folder.0, &["run", "-c", "bad.yaml"], place, remedy).await;
    }
    refused(&folder.0, &["run", "-c", "absent.yaml"], "absent.yaml", "give its path with -c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_starts_nothing() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("good.yaml"), format!("{SERVER}policies: [policy.yaml]\n")).unwrap();
    for (rules, place, remedy) in POLICIES {
        std::fs::write(folder.0.join("policy.yaml"), format!("{POLICY}{rules}\n")).unwrap();
        refused(&folder.0, &["run", "-c", "good.yaml"], place, remedy).await;
        refused(&folder.0, &["config", "check", "-c", "good.yaml"], place, remedy).await;
    }
    std::fs::write(folder.0.join("policy.yaml"), "").unwrap();
    refused(&folder.0, &["run", "-c", "good.yaml"], "policy.yaml:1:", "write a map").await;
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ships_loads() {
    let folder = Folder::new();
    let (mut configurations, mut policies) = (0, 0);
    for path in yaml_files("examples") {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.lines().any(|line| line.starts_with("servers:")) {
            // Of another program; the tests of the deployment look at it.
            continue;
        }
        let (code, output) = command(&folder.0, &["config", "check", "-c", path.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{output}");
        configurations += 1;
    }
    for path in yaml_files("policies") {
        std::fs::write(folder.0.join("c.yaml"), format!("{SERVER}policies: ['{}']\n", path.display())).unwrap();
        let (code, output) = command(&folder.0, &["config", "check", "-c", "c.yaml"]).await;
        assert_eq!(code, 0, "{output}");
        policies += 1;
    }
    assert!(configurations >= 1 && policies >= 2, "{configurations} configurations, {policies} policies");
}
