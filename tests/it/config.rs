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

/// The example of RFC 7517, appendix A.1.
const KEY_SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

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
        // Whatever keeps it from starting is found without starting it.
        refused(&folder.0, &["config", "check", "-c", "bad.yaml"], place, remedy).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn relative_paths_start_at_the_configuration() {
    let folder = Folder::new();
    let below = folder.0.join("etc");
    std::fs::create_dir_all(below.join("keys")).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(below.join("keys/a.pem"), made.cert.pem()).unwrap();
    std::fs::write(below.join("keys/a.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(below.join("keys/token"), "s3cret").unwrap();
    std::fs::write(below.join("keys/jwks.json"), KEY_SET).unwrap();
    let more = "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\ndata_dir: data\n\
        tls: { certificate: keys/a.pem, key: keys/a.key, client_ca: keys/a.pem }\n\
        identity: { jwt: [ { issuer: i, audience: a, algorithms: [ES256], jwks_file: keys/jwks.json } ] }\n\
        servers:\n  t:\n    url: https://127.0.0.1:9/mcp\n    tls: { ca: keys/a.pem, certificate: keys/a.pem, key: keys/a.key }\n    \
        credentials: [ { header: X-Key, secret: { file: keys/token } } ]\n";
    std::fs::write(below.join("c.yaml"), more).unwrap();
    for (place, path) in [(&folder.0, "etc/c.yaml"), (&below, "c.yaml"), (&below.join("keys"), "../c.yaml")] {
        let (code, output) = command(place, &["config", "check", "-c", path]).await;
        assert_eq!(code, 0, "{output}");
    }
    assert!(!below.join("data").exists(), "a check makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_configuration_becomes_one_of_ours() {
    let folder = Folder::new();
    let mcp = r#"{"mcpServers":{"my files":{"command":"/bin/cat","args":["-"],"env":{"MODE":"x","API_KEY":"sk_live_0123456789abcdef0123"}},
        "mail":{"url":"http://127.0.0.1:9/mcp","headers":{"Authorization":"Bearer abcdef0123456789abcdef"}}}}"#;
    std::fs::write(folder.0.join("mcp.json"), mcp).unwrap();
    let (code, output) = command(&folder.0, &["init", "--from", "mcp.json", "--dir", "new", "--json"]).await;
    assert_eq!(code, 0, "{output}");
    let said: serde_json::Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(said["client"]["mcpServers"]["my-files"]["url"], "http://127.0.0.1:4180/mcp/my-files");
    let written = std::fs::read_to_string(folder.0.join("new/countersign.yaml")).unwrap();
    assert!(!written.contains("sk_live") && !written.contains("abcdef0123"), "{written}");
    assert!(written.contains("pass_environment: [\"API_KEY\"]") && written.contains("\"MODE\": \"x\""), "{written}");
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(folder.0.join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("new/secrets"), mode("new/secrets/mail-authorization")), (0o700, 0o600));
    let (code, output) = command(&folder.0, &["config", "check", "-c", "new/countersign.yaml"]).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = command(&folder.0, &["init", "--from", "mcp.json", "--dir", "new"]).await;
    assert!(code == 2 && output.contains("is there already"), "{output}");
    let (code, output) = command(&folder.0, &["init", "--from", "absent.json"]).await;
    assert!(code == 2 && output.contains("absent.json"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: '127.0.0.1:{port}' }}\ndata_dir: data\n\
         servers: {{ here: {{ command: [cat] }}, gone: {{ command: [countersign-no-such] }}, web: {{ url: 'http://127.0.0.1:{port}/mcp' }} }}\n"
    );
    std::fs::write(folder.0.join("c.yaml"), config).unwrap();
    let (code, output) = command(&folder.0, &["doctor", "-c", "c.yaml", "--json"]).await;
    assert_eq!(code, 1, "{output}");
    let said: serde_json::Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let status = |name: &str| {
        let all = said["checks"].as_array().unwrap();
        let check = all.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}: {said}"));
        assert_eq!(check["status"] == "ok", check["remedy"].is_null(), "{check}");
        check["status"].as_str().unwrap().to_owned()
    };
    for name in ["configuration", "permissions", "clock", "log", "listen", "server here", "server web"] {
        assert_eq!(status(name), "ok", "{name}");
    }
    assert_eq!(
        (status("identity"), status("admin.listen"), status("server gone")),
        ("warning".into(), "failed".into(), "failed".into())
    );
    assert!(!folder.0.join("data").exists(), "it makes nothing");
    std::fs::create_dir_all(folder.0.join("data/private")).unwrap();
    std::fs::write(folder.0.join("data/private/root.key"), "x").unwrap();
    let (_, output) = command(&folder.0, &["doctor", "-c", "c.yaml"]).await;
    assert!(output.contains("FAILED   permissions") && output.contains("chmod 700"), "{output}");
    let (code, output) = command(&folder.0, &["doctor", "-c", "absent.yaml"]).await;
    assert!(code == 2 && output.contains("countersign init"), "{output}");
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
