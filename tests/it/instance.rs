//! The product as its users run it: the binary as a child process, or the same in this process on a disk that fails.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign::config::{App, BuildError, Plan, parse};
use countersign::net::SystemClock;
use countersign::record::disk::{Disk, RealDisk};
use countersign::record::{self, Log, Recorder, leaf_hash, open_envelope};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

/// Nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Small segments: the start zero-fills little.
pub(crate) const SMALL_LOG: &str = "{ segment_bytes: 4194304, first_segment_bytes: 1048576, reserved_bytes: 262144 }";

/// An API key and the line of the configuration that lists it.
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) hash: String,
}

impl Key {
    pub(crate) fn new() -> Self {
        let (secret, hash) = countersign::identify::mint().unwrap();
        Self { secret: secret.expose().to_owned(), hash: hash.to_string() }
    }

    /// The configuration's `identity` with this key alone.
    pub(crate) fn identity(&self) -> String {
        format!(
            "identity: {{ api_keys: [ {{ name: test, hash: '{}', human: alice@example.com, agent: tester }} ] }}\n",
            self.hash
        )
    }
}

/// What came back, and whether it came to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) complete: bool,
}

impl Answer {
    /// The JSON-RPC message: the body, or the last event of a stream.
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let event = text.lines().rev().find_map(|line| line.strip_prefix("data:"));
        serde_json::from_str(event.unwrap_or(&text).trim()).unwrap_or(Value::Null)
    }
}

/// A way in: an address and a key.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) key: String,
}

impl Door {
    /// Posts one message of the older era; a header that is given here replaces the usual one, an empty one leaves it
    /// out. `None`: no answer.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let mut request = Request::post(path).header("host", "localhost");
        let bearer = format!("Bearer {}", self.key);
        let usual = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", bearer.as_str()),
        ];
        let given = |name: &str| headers.iter().any(|(other, _)| *other == name);
        for (name, value) in usual.iter().filter(|(name, _)| !given(name)).chain(headers) {
            if !value.is_empty() {
                request = request.header(*name, *value);
            }
        }
        exchange(self.address, request.body(Full::new(body.to_owned().into())).unwrap()).await
    }

    /// Calls a tool in the older era.
    pub(crate) async fn call(&self, server: &str, tool: &str, arguments: Value) -> Option<Answer> {
        self.post(&format!("/mcp/{server}"), &[], &call_message(1, tool, &arguments)).await
    }

    /// The status of the readiness page, if there is one.
    pub(crate) async fn ready(&self) -> Option<StatusCode> {
        let request = Request::get("/readyz").header("host", "localhost").body(Full::default()).unwrap();
        exchange(self.admin, request).await.map(|answer| answer.status)
    }

    /// Waits until the readiness page says `status`.
    pub(crate) async fn until_ready_is(&self, status: StatusCode) {
        let poll = async {
            while self.ready().await != Some(status) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("/readyz never said {status}"));
    }
}

/// A call of a tool in the older era.
pub(crate) fn call_message(id: u64, tool: &str, arguments: &Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
}

/// One request on a connection of its own; `None` when there is no answer. Bounded.
pub(crate) async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Option<Answer> {
    let work = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(read(sender.send_request(request).await.ok()?).await)
    };
    tokio::time::timeout(PATIENCE, work).await.expect("no answer for a minute: it hangs")
}

/// Reads an answer as far as it comes.
pub(crate) async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, mut incoming) = response.into_parts();
    let (mut body, mut complete) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend(frame.into_data().unwrap_or_default()),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    Answer { status: parts.status, headers: parts.headers, body: body.into(), complete }
}

/// The binary, running.
pub(crate) struct Instance {
    child: Child,
    output: Arc<Mutex<String>>,
    lines: watch::Receiver<usize>,
}

impl Instance {
    /// Starts the binary; it may fail to get up. The variables are added to the environment.
    pub(crate) fn spawn(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).envs(variables.iter().copied()).current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output: Arc<Mutex<String>> = Arc::default();
        let (count, lines) = watch::channel(0);
        collect(child.stdout.take().unwrap(), Arc::clone(&output), count.clone());
        collect(child.stderr.take().unwrap(), Arc::clone(&output), count);
        Self { child, output, lines }
    }

    /// Starts `run` with the configuration in `folder/countersign.yaml` and waits until it is ready.
    pub(crate) async fn start(folder: &Path, key: &str, variables: &[(&str, &str)]) -> (Self, Door) {
        let mut this = Self::spawn(folder, &["run", "-q", "-c", "countersign.yaml"], variables);
        let door = this.door(key).await.unwrap_or_else(|| panic!("it did not start: {}", this.output()));
        door.until_ready_is(StatusCode::OK).await;
        (this, door)
    }

    /// Where it listens, once it has said so; `None` when it ends first.
    pub(crate) async fn door(&mut self, key: &str) -> Option<Door> {
        let said = async {
            loop {
                let output = self.output();
                let after = |word: &str| {
                    let rest = output.split_once(word)?.1.split_once('\n')?.0;
                    rest.split_whitespace().next()?.rsplit('/').next()?.parse().ok()
                };
                let (address, admin) = (after(" on http"), after("metrics on http"));
                if let (Some(address), Some(admin)) = (address, admin) {
                    return Some(Door { address, admin, key: key.to_owned() });
                }
                self.lines.changed().await.ok()?;
            }
        };
        tokio::time::timeout(PATIENCE, said).await.expect("it neither started nor ended within a minute")
    }

    /// Everything it has written so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM. Returns how it ended and all it wrote.
    pub(crate) async fn terminate(self) -> (ExitStatus, String) {
        // The standard library sends SIGKILL alone; every shell has this one built in.
        let told = std::process::Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.id())).status();
        assert!(told.unwrap().success());
        self.end().await
    }

    /// Waits for its end, and for the end of what it wrote.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let ended = async {
            let status = self.child.wait().await.unwrap();
            while self.lines.changed().await.is_ok() {}
            status
        };
        let status = tokio::time::timeout(PATIENCE, ended).await;
        let status = status.unwrap_or_else(|_| panic!("it did not end within a minute: {}", self.output()));
        (status, self.output())
    }
}

/// Runs a command that is expected to end by itself.
pub(crate) async fn command(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let (status, output) = Instance::spawn(folder, arguments, &[]).end().await;
    (status.code().unwrap_or(-1), output)
}

fn collect(from: impl AsyncRead + Unpin + Send + 'static, into: Arc<Mutex<String>>, count: watch::Sender<usize>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push_str(&(line + "\n"));
            count.send_modify(|count| *count += 1);
        }
    });
}

/// The product in this process, on any disk.
pub(crate) struct Local {
    pub(crate) door: Door,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<Result<(), BuildError>>,
}

impl Local {
    pub(crate) async fn start(folder: &Path, config: &str, key: &Key, disk: Arc<dyn Disk>) -> Result<Self, BuildError> {
        let config = parse(config, &folder.join("countersign.yaml"))?;
        let app = App::build_on(Plan::check(config, folder)?, None, disk).await?;
        let door = Door { address: app.address(), admin: app.admin_address(), key: key.secret.clone() };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(app.run(async { stopped.await.unwrap_or_default() }));
        Ok(Self { door, stop, running })
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) -> Result<(), BuildError> {
        let _ended_by_itself = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.running).await.expect("it hangs").unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(self) -> Result<(), BuildError> {
        let ended = tokio::time::timeout(PATIENCE, self.running).await.expect("it did not end").unwrap();
        drop(self.stop);
        ended
    }
}

/// The settings of a log that was made with [`SMALL_LOG`].
pub(crate) fn log_settings(data: &Path) -> record::Config {
    record::Config {
        data_dir: PathBuf::from(data),
        segment_bytes: 4 << 20,
        first_segment_bytes: 1 << 20,
        reserved_bytes: 256 << 10,
        ..record::Config::default()
    }
}

/// Opens the log as the next start of the product would, and closes what was left open. Returns the payloads of all
/// entries from `from` on, with their leaf hashes, in order; leaves the log closed.
pub(crate) async fn recover(data: &Path, disk: Arc<dyn Disk>, from: u64) -> Vec<(String, Value)> {
    let clock = Arc::new(SystemClock::new());
    let settings = log_settings(data);
    let (log, opened) = Log::open(&settings, disk, Arc::clone(&clock) as _).expect("the log opens");
    let (recorder, _) = Recorder::start(log.clone(), &opened, clock).expect("the log recovers");
    let entries = read_entries(&log, from);
    drop(recorder);
    log.close().await.expect("the log closes");
    entries
}

fn read_entries(log: &Log, from: u64) -> Vec<(String, Value)> {
    let mut entries = Vec::new();
    while from + (entries.len() as u64) < log.durable_size() {
        for stored in log.read(from + entries.len() as u64, 1_000, 4 << 20).expect("entries are there") {
            let payload = open_envelope(&stored.bytes).expect("an entry is an envelope").payload;
            entries.push((leaf_hash(&stored.bytes).to_string(), serde_json::from_slice(&payload).unwrap()));
        }
    }
    entries
}

/// Verifies a whole log offline: signatures, chains, tree.
pub(crate) fn verify(data: &Path) {
    let report = record::verify_directory(data, &record::VerifyOptions::default()).expect("there is a log");
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}

/// All predicates of a log on the real disk, its decisions and outcomes joined: every permitted decision has one end.
pub(crate) async fn predicates(data: &Path) -> Vec<Value> {
    let entries = recover(data, Arc::new(RealDisk), 0).await;
    verify(data);
    let predicates: Vec<Value> = entries.into_iter().map(|(_, payload)| payload["predicate"].clone()).collect();
    for end in predicates.iter().filter(|entry| entry["kind"] == "outcome" || entry["kind"] == "recovery") {
        let id = &end["action"]["action_id"];
        let same = |entry: &&Value| entry["action"]["action_id"] == *id;
        assert_eq!(predicates.iter().filter(same).filter(|entry| entry["kind"] == "decision").count(), 1, "{id}");
        let ends = |entry: &&Value| entry["kind"] == "outcome" || entry["kind"] == "recovery";
        assert_eq!(predicates.iter().filter(same).filter(ends).count(), 1, "{id}");
    }
    predicates
}
