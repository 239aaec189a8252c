//! A log that cannot be written: calls are refused, nothing reaches a server, and the process says so. A start that
//! cannot succeed ends with one clear error.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::config::BuildError;
use countersign::record::disk::{FaultyDisk, Operation};
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{ALLOW_ALL, Folder, Server, ordinary};
use crate::instance::{Answer, Door, Instance, Key, Local, command, predicates, recover};

const EIO: i32 = 5;

/// The smallest log there can be: it is full after some dozens of calls.
const TINY_LOG: &str = "{ segment_bytes: 262144, first_segment_bytes: 262144, reserved_bytes: 65536 }";

/// Far more calls than the smallest log has room for.
const CALLS_MAX: usize = 2_000;

struct Scene {
    folder: Folder,
    server: Server,
    key: Key,
    config: String,
}

async fn scene(data: &Path) -> Scene {
    let (folder, server, key) = (Folder::new(), Server::start(ordinary).await, Key::new());
    std::fs::write(folder.0.join("policy.yaml"), ALLOW_ALL).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: {}\npolicies: [policy.yaml]\n{}\
         record: {TINY_LOG}\nservers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}\n",
        data.display(),
        key.identity(),
        server.address,
    );
    std::fs::write(folder.0.join("countersign.yaml"), &config).unwrap();
    Scene { folder, server, key, config }
}

/// The refusal that every client passes on to its model, for this one reason.
fn assert_log_unavailable(answer: &Answer) {
    let message = answer.json();
    assert_eq!((answer.status, &message["result"]["isError"]), (StatusCode::OK, &json!(true)), "{message}");
    let text = message["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("cannot be recorded, so it was not done"), "{text}");
    assert_eq!(message["result"]["_meta"]["countersign/decision"]["reason_code"], "log_unavailable", "{message}");
}

fn is_success(answer: Option<&Answer>) -> bool {
    answer.is_some_and(|answer| answer.json()["result"]["isError"] == false)
}

/// Whether the refusal says that what is known of the session cannot be kept: on a full disk that may be found first.
fn is_context_unavailable(answer: &Answer) -> bool {
    answer.json()["result"]["_meta"]["countersign/decision"]["reason_code"] == "context_unavailable"
}

/// Calls until the log has no room; returns how many calls succeeded.
async fn call_until_full(door: &Door) -> usize {
    let mut calls = 0;
    for number in 0..CALLS_MAX {
        let answer = door.call("test", "echo", json!({ "n": number })).await.expect("an answer");
        if is_success(Some(&answer)) {
            calls += 1;
        } else {
            assert_no_room(&answer);
            if !is_context_unavailable(&answer) {
                return calls;
            }
        }
    }
    panic!("{CALLS_MAX} calls fit into a disk without room");
}

/// Nothing that is called now reaches the server, whether it is answered or not.
async fn assert_closed(door: &Door, server: &Server, before: usize) {
    assert_closed_with(door, server, before, assert_log_unavailable).await;
}

/// The refusal where the whole disk has no room: which of its users finds that first is chance.
fn assert_no_room(answer: &Answer) {
    if !is_context_unavailable(answer) {
        assert_log_unavailable(answer);
    }
}

async fn assert_closed_with(door: &Door, server: &Server, before: usize, assert_refused: impl Fn(&Answer)) {
    for _again in 0..3 {
        if let Some(answer) = door.call("test", "echo", json!({})).await {
            assert_refused(&answer);
        }
    }
    assert_eq!(server.calls().len(), before, "a call without evidence reached the server");
}

/// A disk that fails for good ends the process, after everything was refused.
async fn fails_for_good(fault: impl FnOnce(&FaultyDisk)) {
    let scene = scene(Path::new("data")).await;
    let disk = FaultyDisk::new();
    let app = Local::start(&scene.folder.0, &scene.config, &scene.key, Arc::new(disk.clone())).await.unwrap();
    let door = app.door.clone();
    assert!(is_success(door.call("test", "echo", json!({})).await.as_ref()));
    assert_eq!(door.ready().await, Some(StatusCode::OK));
    fault(&disk);
    // The next checkpoint may find the fault before this call does: then nobody is there any more to answer.
    if let Some(answer) = door.call("test", "echo", json!({})).await {
        assert_log_unavailable(&answer);
    }
    assert!(matches!(door.ready().await, None | Some(StatusCode::SERVICE_UNAVAILABLE)));
    assert_closed(&door, &scene.server, 1).await;
    // The command ends with exit code 1 on this.
    let ended = app.end().await.expect_err("it went on without a log");
    assert!(matches!(ended, BuildError::Record { .. }) && !ended.is_configuration(), "{ended:?}");
    let entries = recover(&scene.folder.0.join("data"), Arc::new(disk.restart()), 0).await;
    let kinds: Vec<&str> = entries.iter().map(|(_, entry)| entry["predicate"]["kind"].as_str().unwrap()).collect();
    let count = |kind| kinds.iter().filter(|found| **found == kind).count();
    // The refused decision may have reached the device or not; nobody was told that it had. If it did, it is closed.
    assert!(count("decision") >= 1, "{kinds:?}");
    assert_eq!(count("decision"), count("outcome") + count("recovery"), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_refuses_everything() {
    fails_for_good(|disk| disk.set_read_only(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_process() {
    fails_for_good(|disk| disk.fail(Operation::Sync, "/wal/", 0, EIO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_ends_the_process() {
    fails_for_good(|disk| disk.fail(Operation::Write, "/wal/", 0, EIO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_until_there_is_room() {
    let scene = scene(Path::new("data")).await;
    let disk = FaultyDisk::new();
    let app = Local::start(&scene.folder.0, &scene.config, &scene.key, Arc::new(disk.clone())).await.unwrap();
    let door = app.door.clone();
    disk.limit_space(Some(0));
    let calls = call_until_full(&door).await;
    assert_eq!(door.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_closed(&door, &scene.server, calls).await;
    disk.limit_space(None);
    door.until_ready_is(StatusCode::OK).await;
    assert!(is_success(door.call("test", "echo", json!({})).await.as_ref()));
    app.stop().await.expect("it ends in order");
}

/// A small file system in memory, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` when this user may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        let path = folder.join("small");
        std::fs::create_dir(&path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(path))
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking(), "it stays mounted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_full_disk_refuses_until_there_is_room() {
    let place = Folder::new();
    let Some(small) = SmallDisk::mount(&place.0) else {
        println!("not root: the test with a real full disk was left out");
        return;
    };
    let scene = scene(&small.0.join("data")).await;
    let (instance, door) = Instance::start(&scene.folder.0, &scene.key.secret, &[]).await;
    assert!(is_success(door.call("test", "echo", json!({})).await.as_ref()));
    small.fill();
    let calls = 1 + call_until_full(&door).await;
    assert_eq!(door.ready().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_closed_with(&door, &scene.server, calls, assert_no_room).await;
    std::fs::remove_file(small.0.join("filler")).unwrap();
    door.until_ready_is(StatusCode::OK).await;
    assert!(is_success(door.call("test", "echo", json!({})).await.as_ref()));
    // Now the room that the log holds is taken from under it: the next write fails, and what is on the device is unknown.
    let segments = std::fs::read_dir(small.0.join("data/wal")).unwrap();
    let paths: Vec<PathBuf> = segments.map(|entry| entry.unwrap().path()).collect();
    small.fill();
    for path in paths {
        let bytes = std::fs::metadata(&path).unwrap().len();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(0).unwrap();
        file.set_len(bytes).unwrap();
    }
    small.fill();
    let before = scene.server.calls().len();
    if let Some(answer) = door.call("test", "echo", json!({})).await {
        assert_no_room(&answer);
    }
    assert_closed_with(&door, &scene.server, before, assert_no_room).await;
    let (status, output) = instance.end().await;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("countersign: ") && output.contains("small/data"), "{output}");
    drop(small);
}

/// One line for people, and nothing else.
fn the_error(output: &str) -> &str {
    let lines: Vec<&str> = output.lines().filter(|line| line.starts_with("countersign: ")).collect();
    assert_eq!((lines.len(), output.lines().count()), (1, 1), "{output}");
    lines[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_is_told_who_was_first() {
    let scene = scene(Path::new("data")).await;
    let (first, door) = Instance::start(&scene.folder.0, &scene.key.secret, &[]).await;
    let run = ["run", "-c", "countersign.yaml"];
    let (code, output) = command(&scene.folder.0, &run).await;
    let error = the_error(&output);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("held by another process") && error.contains(&format!("pid={}", first.id())), "{error}");
    // The same ports: found before the log is looked at.
    let taken = scene.config.replace("listen: 127.0.0.1:0\nadmin", &format!("listen: {}\nadmin", door.address));
    std::fs::write(scene.folder.0.join("taken.yaml"), taken.replace("data_dir: data", "data_dir: other")).unwrap();
    let (code, output) = command(&scene.folder.0, &["run", "-c", "taken.yaml"]).await;
    let error = the_error(&output);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains(&door.address.to_string()) && error.contains("another instance"), "{error}");
    assert!(!scene.folder.0.join("other").exists(), "it touched a log although it could not start");
    assert!(is_success(door.call("test", "echo", json!({})).await.as_ref()), "the first instance suffered");
    let (status, output) = first.terminate().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let entries: Vec<Value> = predicates(&scene.folder.0.join("data")).await;
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "genesis").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_policy_starts_nothing() {
    let scene = scene(Path::new("data")).await;
    std::fs::remove_file(scene.folder.0.join("policy.yaml")).unwrap();
    let (code, output) = command(&scene.folder.0, &["run", "-c", "countersign.yaml"]).await;
    let error = the_error(&output);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("policy.yaml"), "{error}");
    assert!(!scene.folder.0.join("data").exists(), "it made a log without policies");
}
