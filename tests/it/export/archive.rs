//! The off-host copy of the log: a host is lost, and its log is verified, read and continued from the copy alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use countersign::net::Body;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::stub::{Fault, Protocol, Stub};
use crate::harness::{Folder, Received, Server, ordinary, respond};
use crate::instance::{Door, Instance, Key, PATIENCE, SMALL_LOG, command, verify};

/// A store with one bucket: names are used once, objects are read and listed, two names a page.
#[derive(Default)]
struct Bucket(Mutex<BTreeMap<String, Vec<u8>>>);

impl Protocol for Bucket {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert!(header("authorization").contains("/s3/aws4_request"), "every request is signed");
        let (path, query) = header("x-path").split_once('?').unwrap_or((header("x-path"), ""));
        let mut objects = self.0.lock().unwrap();
        if request.method == Method::PUT {
            assert_eq!(header("if-none-match"), "*");
            assert_eq!(header("x-amz-object-lock-mode"), "COMPLIANCE");
            if objects.contains_key(path) {
                return (respond(StatusCode::PRECONDITION_FAILED, ""), Vec::new());
            }
            objects.insert(path.to_owned(), request.body.to_vec());
            return (respond(StatusCode::OK, ""), vec![path.to_owned()]);
        }
        if !query.contains("list-type=2") {
            let found = objects.get(path).cloned();
            let missing = || respond(StatusCode::NOT_FOUND, "<Code>NoSuchKey</Code>");
            return (found.map_or_else(missing, |bytes| Response::new(countersign::net::full(bytes))), Vec::new());
        }
        let part = |name: &str| {
            let value = query.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")))?;
            Some(value.replace("%2F", "/"))
        };
        let (begin, after) = (format!("/logs/{}", part("prefix").unwrap()), part("continuation-token"));
        let folders = part("delimiter").is_some();
        let names = objects.keys().filter(|name| name.starts_with(&begin)).map(|name| {
            match name.strip_prefix(&begin).and_then(|rest| rest.split_once('/')) {
                Some((folder, _)) if folders => format!("{begin}{folder}/"),
                _ => name.clone(),
            }
        });
        let mut names: Vec<String> = names.filter(|name| after.as_ref().is_none_or(|after| name > after)).collect();
        names.dedup();
        let more = names.len() > 2;
        names.truncate(2);
        let mut text = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
        if more {
            text.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", names.last().unwrap()));
        }
        for name in names {
            let key = name.strip_prefix("/logs/").unwrap();
            text.push_str(&if folders {
                format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>")
            } else {
                format!("<Contents><Key>{key}</Key></Contents>")
            });
        }
        (respond(StatusCode::OK, &(text + "</ListBucketResult>")), Vec::new())
    }

    fn is_delivery(&self, request: &Received) -> bool {
        request.method == Method::PUT
    }
}

/// A host that archives: its folder, its server, its key.
struct Host {
    folder: Folder,
    server: Server,
    key: Key,
}

impl Host {
    async fn new(archive: &str) -> Self {
        let (folder, key, server) = (Folder::new(), Key::new(), Server::start(ordinary).await);
        let policy = "policy: { id: all, version: '1' }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n";
        std::fs::write(folder.0.join("policy.yaml"), policy).unwrap();
        let this = Self { folder, server, key };
        this.configure("countersign.yaml", "data", archive);
        this
    }

    fn configure(&self, file: &str, data: &str, archive: &str) {
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: {data}\npolicies: [policy.yaml]\n{}\
             record: {SMALL_LOG}\nservers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}\n\
             telemetry: {{ exporters: [ {{ type: archive, interval: 20ms, {archive}, \
             delivery: {{ retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 }} }} ] }}\n",
            self.key.identity(),
            self.server.address,
        );
        std::fs::write(self.folder.0.join(file), config).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        command(&self.folder.0, arguments).await
    }

    /// How far the archive is; waits until it holds every entry that is there.
    async fn until_archived(&self) -> u64 {
        let waiting = async {
            loop {
                let (_, text) = self.run(&["export", "status", "-c", "countersign.yaml", "--json"]).await;
                let status: Value = serde_json::from_str(&text).unwrap_or_default();
                if status["destinations"][0]["behind"] == 0 && status["entries"].as_u64() > Some(0) {
                    return status["destinations"][0]["next"].as_u64().unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the archive never caught up")
    }
}

async fn calls(door: &Door, count: u64) {
    for number in 0..count {
        let tool = if number.is_multiple_of(5) { "delete" } else { "echo" };
        door.call("test", tool, json!({ "number": number })).await.unwrap();
    }
}

/// The folder of the one instance in an archive.
fn instance_of(archive: &Path) -> PathBuf {
    let mut found = std::fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path());
    let one = found.next().unwrap();
    assert_eq!(found.next(), None, "one log");
    one
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_host_is_verified_from_its_archive_and_continued() {
    let host = Host::new("destination: ../archive").await;
    let (instance, door) = Instance::start(&host.folder.0, &host.key.secret, &[]).await;
    calls(&door, 150).await;
    let archived = host.until_archived().await;
    // Under load: what is under way now is lost with the host.
    let more = tokio::spawn(async move {
        for number in 0..1_000 {
            if door.call("test", "echo", json!({ "number": number })).await.is_none() {
                break;
            }
        }
    });
    instance.kill().await;
    more.await.unwrap();
    let root_key = std::fs::read_to_string(host.path("data/keys/root.vkey")).unwrap();
    std::fs::remove_dir_all(host.path("data")).unwrap();

    let (code, text) =
        host.run(&["receipts", "verify", "--archive", "archive", "--root-key", root_key.trim(), "--json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert!(report["size"].as_u64().unwrap() >= archived, "{archived} were archived: {text}");
    assert_eq!(report["problems_total"], 0, "{text}");
    // 3: an action may have been decided and cut off.
    assert!(code == 0 || code == 3, "{code}: {text}");
    let copy = instance_of(&host.path("archive"));
    assert!(
        !copy.join("private").exists() && !copy.join("vault").exists(),
        "no private key and no salt leaves the host"
    );
    let (code, text) = host.run(&["receipts", "list", "--data-dir", copy.to_str().unwrap(), "--json"]).await;
    assert!(code == 0 && text.contains("\"echo\"") && text.contains("DENY"), "the entries can be read: {text}");

    // A new instance, in the same configuration, continues it.
    let (code, text) =
        host.run(&["receipts", "continue", "--archive", "archive", "--data-dir", "data", "--json"]).await;
    assert_eq!(code, 0, "{text}");
    let stated: Value = serde_json::from_str(&text).unwrap();
    let (instance, door) = Instance::start(&host.folder.0, &host.key.secret, &[]).await;
    calls(&door, 20).await;
    let (status, output) = instance.terminate().await;
    assert!(status.success(), "{output}");
    verify(&host.path("data"));
    let (code, text) = host
        .run(&["receipts", "verify", "--data-dir", "data", "--predecessor", copy.to_str().unwrap(), "--json"])
        .await;
    let successor: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &successor["predecessor"]), (0, &stated), "{text}");
    assert_eq!(stated["size"], report["size"]);
    // Two logs are in the archive now, and each is named.
    let (code, text) = host.run(&["receipts", "verify", "--archive", "archive"]).await;
    assert!(code == 1 && text.contains("several logs"), "{text}");
    // Neither a log that is there, nor a stated link that was changed.
    let place = copy.to_str().unwrap();
    assert_eq!(host.run(&["receipts", "continue", "--archive", place, "--data-dir", "data"]).await.0, 2);
    assert_eq!(host.run(&["receipts", "continue", "--archive", place, "--data-dir", "other"]).await.0, 0);
    let link = std::fs::read_to_string(host.path("other/predecessor.json")).unwrap();
    std::fs::remove_file(host.path("other/predecessor.json")).unwrap();
    std::fs::write(host.path("other/predecessor.json"), link.replacen("\\n", "\\n1", 1)).unwrap();
    host.configure("other.yaml", "other", "destination: ../third");
    let (code, text) = host.run(&["run", "-q", "-c", "other.yaml"]).await;
    assert!(code != 0 && text.contains("predecessor.json"), "{code}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tampered_archive_is_detected() {
    let host = Host::new("destination: ../archive").await;
    let (instance, door) = Instance::start(&host.folder.0, &host.key.secret, &[]).await;
    calls(&door, 150).await;
    host.until_archived().await;
    instance.terminate().await;
    let copy = instance_of(&host.path("archive"));
    let mut files = Vec::new();
    collect(&copy, &mut files);
    let of = |part: &str| files.iter().rfind(|path| path.to_str().unwrap().contains(part)).unwrap().clone();
    let last = std::fs::read_to_string(copy.join("log/checkpoint")).unwrap();
    let size: u64 = last.lines().nth(1).unwrap().parse().unwrap();
    let partial = copy.join(format!("log/tile/entries/{:03}.p/{}", size / 256, size % 256));
    let wanted = ["log/checkpoint", "log/tile/entries/000", "log/tile/0/000", "instance.json"];
    let targets = wanted.map(|name| copy.join(name)).into_iter().chain([partial, of("cp.prev")]);
    for path in targets {
        let before = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut after = before.clone();
        let middle = after.len() / 2;
        after[middle] ^= 1;
        for content in [Some(after), None] {
            std::fs::remove_file(&path).unwrap();
            if let Some(content) = &content {
                std::fs::write(&path, content).unwrap();
            }
            let (code, text) = host.run(&["receipts", "verify", "--archive", "archive"]).await;
            // A kept checkpoint that is not there is no fault of the log: what is left proves itself.
            let harmless = content.is_none() && path.to_str().unwrap().contains("cp.prev");
            assert_eq!(code == 0, harmless, "{} changed: {text}", path.display());
            let continued = host.run(&["receipts", "continue", "--archive", "archive", "--data-dir", "new"]).await.0;
            assert_eq!(continued == 0, harmless, "{}", path.display());
            std::fs::remove_dir_all(host.path("new")).ok();
            std::fs::write(&path, &before).unwrap();
        }
    }
    assert_eq!(host.run(&["receipts", "verify", "--archive", "archive"]).await.0, 0, "as it was");
    // The archive that has other files under the names of this log is not written over, and the operator is told.
    let bundle = copy.join("log/tile/entries/000");
    let mut changed = std::fs::read(&bundle).unwrap();
    changed[5_000] ^= 1;
    std::fs::remove_file(&bundle).unwrap();
    std::fs::write(&bundle, &changed).unwrap();
    std::fs::remove_file(host.path("data/export/archive.cursor")).unwrap();
    let (instance, door) = Instance::start(&host.folder.0, &host.key.secret, &[]).await;
    calls(&door, 2).await;
    let parked = async {
        loop {
            let request = http::Request::get("/metrics").header("host", "localhost").body(Default::default()).unwrap();
            let metrics = crate::instance::exchange(door.admin, request).await.unwrap();
            let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
            if metrics.contains("aarm_telemetry_destination_state{destination=\"archive\",state=\"parked\"} 1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, parked).await.expect("never parked");
    instance.terminate().await;
    assert_eq!(std::fs::read(&bundle).unwrap(), changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_4_the_log_is_archived_in_s3_under_names_that_are_used_once() {
    let stub = Stub::start(Bucket::default()).await;
    let s3 = format!("s3: {{ endpoint: 'http://{}', lock_days: 400 }}", stub.address);
    let host = Host::new(&format!("destination: 's3://logs/hosts/', {s3}")).await;
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "not-a-real-key")];
    for fault in
        [Fault::Reset, Fault::Answer(503, &[], ""), Fault::TakeAndReset, Fault::Answer(403, &[], "AccessDenied")]
    {
        stub.fail(fault);
    }
    let (instance, door) = Instance::start(&host.folder.0, &host.key.secret, &keys).await;
    calls(&door, 150).await;
    let archived = host.until_archived().await;
    instance.kill().await;
    // A cursor that is lost too: everything is offered again, and found there.
    std::fs::remove_file(host.path("data/export/archive.cursor")).unwrap();
    let (instance, _) = Instance::start(&host.folder.0, &host.key.secret, &keys).await;
    host.until_archived().await;
    instance.kill().await;
    std::fs::remove_dir_all(host.path("data")).unwrap();
    let taken = stub.taken();
    assert_eq!(taken.iter().collect::<std::collections::HashSet<_>>().len(), taken.len(), "no name was used twice");

    let endpoint = format!("http://{}", stub.address);
    let variables = [keys[0], keys[1], ("AWS_ENDPOINT_URL_S3", endpoint.as_str())];
    let run = async |arguments: &[&str]| {
        let (status, output) = Instance::spawn(&host.folder.0, arguments, &variables).end().await;
        (status.code().unwrap_or(-1), output)
    };
    let (code, text) = run(&["receipts", "verify", "--archive", "s3://logs/hosts", "--json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!((code, &report["problems_total"]), (0, &json!(0)), "{text}");
    assert!(report["size"].as_u64().unwrap() >= archived, "{text}");
    // The configuration of the host does as well, where it is still there.
    let arguments =
        ["receipts", "fetch", "--archive", "s3://logs/hosts/", "-c", "countersign.yaml", "--out", "fetched"];
    let (status, output) = Instance::spawn(&host.folder.0, &arguments, &keys).end().await;
    assert!(status.success(), "{output}");
    verify(&host.path("fetched"));
    let (code, text) = run(&["receipts", "list", "--data-dir", "fetched", "--json"]).await;
    assert!(code == 0 && text.contains("\"echo\""), "{text}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
    files.sort();
}
