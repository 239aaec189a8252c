//! A receiver that keeps every byte for every type of destination, for the search for secrets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use countersign::net::Body;
use http::{Method, Response, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};

use super::aws_streams;
use super::compliance::CANARY;
use super::connection::everywhere;
use super::stub::{Protocol, Stub};
use super::{chronicle, sumologic};
use crate::harness::{Folder, Received, respond};

/// Where the product sends, and what came there.
pub(crate) struct Sink {
    /// The name of the destination.
    pub(crate) name: String,
    /// What it is configured with: an entry of `exporters`, but for `batch_export`.
    pub(crate) exporter: String,
    taken: Box<dyn Fn() -> Vec<Vec<u8>>>,
}

impl Sink {
    /// Every byte that came, in the pieces in which it came: requests, messages, files.
    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        (self.taken)()
    }
}

/// The name of what is not an exporter.
pub(crate) const BATCH_EXPORT: &str = "batch_export";

/// What receivers are told so that they are told who we are. Goes to them and nowhere else.
pub(crate) const OWN_CREDENTIAL: &str = CANARY;

/// How soon files are made: at once.
const SPAN: &str = "1s";

const SOON: &str = "delivery: { linger_ms: 20, retry_base_ms: 5, retry_cap_ms: 50 }";

type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

fn sink(name: &str, exporter: String, kept: &Kept) -> Sink {
    let kept = Arc::clone(kept);
    Sink { exporter, name: name.into(), taken: Box::new(move || kept.lock().unwrap().clone()) }
}

/// One for every type of destination that this program was built with, some of them with several schemas or protocols.
/// Files go below `data`, the data directory.
pub(crate) async fn all(folder: &Folder, data: PathBuf) -> Vec<Sink> {
    let mut all = http(folder).await;
    all.extend(objects(folder).await);
    all.extend(files(&data));
    all.extend([stream("syslog", "").await, stream("trend_vision_one", ", schema: cef").await, datagrams().await]);
    #[cfg(feature = "otlp-grpc")]
    all.push(grpc().await);
    #[cfg(feature = "kafka")]
    all.push(kafka());
    all
}

fn of_stub(name: &str, exporter: &str, stub: Stub) -> Sink {
    let exporter = exporter.replacen("{ type:", &format!("{{ name: {name}, type:"), 1);
    let taken = move || {
        let piece = |request: Received| {
            let told = request.headers.iter().map(|(name, value)| format!("{name}: {value:?}\n"));
            [told.collect::<String>().into_bytes(), request.body.to_vec()]
        };
        stub.requests().into_iter().flat_map(piece).collect()
    };
    Sink { name: name.into(), exporter, taken: Box::new(taken) }
}

/// Those that speak HTTP, each with a receiver that answers as its service does.
async fn http(folder: &Folder) -> Vec<Sink> {
    let mut all = Vec::new();
    // The names that its receiver takes are those of a clock that stands still.
    for (name, stub, exporter) in everywhere(folder, 0).await.into_iter().filter(|(name, ..)| *name != "s3") {
        all.push(of_stub(name, &exporter, stub));
    }
    let stub = Stub::start(chronicle::SecOps::default()).await;
    let exporter = chronicle::exporter(&stub, &chronicle::metadata(&stub), ", schema: udm");
    all.push(of_stub("udm", &exporter, stub));
    let stub = Stub::start(sumologic::Source).await;
    let (own, kept) = (Folder::new(), folder.0.join("source"));
    let exporter = sumologic::exporter(&stub, &own, ", host: localhost/test");
    std::fs::copy(own.0.join("token"), &kept).unwrap();
    let exporter = exporter.replace(&own.0.join("token").display().to_string(), &kept.display().to_string());
    all.push(of_stub("sumologic", &exporter, stub));
    for (name, more) in [
        ("logstash", "type: logstash"),
        ("protobuf", "type: otlp, schema: otel"),
        ("one", "type: webhook, format: single, compression: gzip, schema: ecs"),
        ("lines", "type: webhook, format: ndjson, schema: cim"),
    ] {
        let stub = Stub::start(Taker).await;
        let exporter = format!("{{ {more}, url: 'http://{}', {SOON} }}", stub.address);
        all.push(of_stub(name, &exporter, stub));
    }
    all
}

/// Takes what comes, and shows nothing of it.
struct Taker;

impl Protocol for Taker {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let status = if request.method == Method::GET { StatusCode::NOT_FOUND } else { StatusCode::OK };
        (respond(status, ""), Vec::new())
    }
}

/// Those that write objects to S3: events, the log, Parquet of both kinds.
async fn objects(folder: &Folder) -> Vec<Sink> {
    let mut all = Vec::new();
    let keys = aws_streams::keys(folder, CANARY);
    for (name, own) in [
        ("s3", "{ type: s3, bucket: events, REACH, SOON }"),
        ("archive", "{ type: archive, destination: 's3://archive/logs/', interval: SPAN, s3: { REACH } }"),
        (
            "security_lake",
            "{ type: security_lake, bucket: lake, account_id: '123456789012', interval: SPAN, s3: { REACH } }",
        ),
        (
            BATCH_EXPORT,
            "{ enabled: true, destination: 's3://files/', format: parquet, interval: SPAN, partitioning: [date], \
             s3: { REACH } }",
        ),
    ] {
        let stub = Stub::start(Taker).await;
        let reach = format!("endpoint: 'http://{}', region: eu-central-1, credentials: {{ {keys} }}", stub.address);
        let exporter = own.replace("REACH", &reach).replace("SPAN", SPAN).replace("SOON", SOON);
        all.push(of_stub(name, &exporter, stub));
    }
    all
}

/// A file of each schema, and a copy of the log in a folder.
fn files(data: &std::path::Path) -> Vec<Sink> {
    let schemas = [
        ("file", "aarm"),
        ("ocsf", "ocsf"),
        ("aos", "{ name: ocsf, version: '1.8', dialect: aos }"),
        ("cef", "cef"),
        ("ecs", "ecs"),
        ("cim", "cim"),
        ("otel", "otel"),
    ];
    let of_schema = |(name, schema): (&str, &str)| {
        let path = data.join(format!("{name}.jsonl"));
        let taken = move || vec![std::fs::read(&path).unwrap_or_default()];
        let exporter = format!("{{ type: file, name: {name}, schema: {schema}, path: {name}.jsonl }}");
        Sink { name: name.into(), exporter, taken: Box::new(taken) }
    };
    let copy = data.join("copy");
    let taken = move || below(&copy).into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    let exporter = format!("{{ type: archive, name: copy, destination: copy, interval: {SPAN} }}");
    let copied = Sink { name: "copy".into(), exporter, taken: Box::new(taken) };
    schemas.into_iter().map(of_schema).chain([copied]).collect()
}

/// All files in a folder and the folders in it.
pub(crate) fn below(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

async fn stream(name: &str, more: &str) -> Sink {
    let (listener, kept) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Kept::default());
    let address = listener.local_addr().unwrap();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (keeping, mine) = (Arc::clone(&keeping), keeping.lock().unwrap().len());
            keeping.lock().unwrap().push(Vec::new());
            tokio::spawn(async move {
                let mut part = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut part).await {
                    keeping.lock().unwrap()[mine].extend_from_slice(&part[..count]);
                }
            });
        }
    });
    let schema = if more.is_empty() { ", schema: cef" } else { more };
    sink(name, format!("{{ name: {name}, type: {name}, address: '{address}', transport: tcp{schema}, {SOON} }}"), &kept)
}

async fn datagrams() -> Sink {
    let (socket, kept) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), Kept::default());
    let address: SocketAddr = socket.local_addr().unwrap();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        let mut part = vec![0; 65_536];
        while let Ok(count) = socket.recv(&mut part).await {
            keeping.lock().unwrap().push(part[..count].to_vec());
        }
    });
    let exporter = format!("{{ type: syslog, name: udp, address: '{address}', transport: udp, schema: cef, {SOON} }}");
    sink("udp", exporter, &kept)
}

/// Takes requests of gRPC, whatever they say.
#[cfg(feature = "otlp-grpc")]
async fn grpc() -> Sink {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (listener, kept) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Kept::default());
    let address = listener.local_addr().unwrap();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keeping = Arc::clone(&keeping);
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let keeping = Arc::clone(&keeping);
                async move {
                    let head = format!("{:?}\n", request.headers());
                    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                    keeping.lock().unwrap().extend([head.into_bytes(), body.to_vec()]);
                    // An empty message in its frame, and that all is well.
                    let done = http::HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), 0.into())]);
                    let answer = Full::new(bytes::Bytes::from_static(&[0; 5]));
                    let answer = answer.with_trailers(std::future::ready(Some(Ok(done))));
                    let answer = http::Response::builder().header("content-type", "application/grpc").body(answer);
                    Ok::<_, std::convert::Infallible>(answer.unwrap())
                }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    });
    let exporter =
        format!("{{ type: otlp, name: grpc, protocol: grpc, url: 'http://{address}', schema: otel, {SOON} }}");
    sink("grpc", exporter, &kept)
}

/// A cluster inside librdkafka, read back by its consumer: keys, headers and values.
#[cfg(feature = "kafka")]
fn kafka() -> Sink {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message};
    use rdkafka::mocking::MockCluster;
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    const TOPIC: &str = "aarm-events";
    const IDLE: std::time::Duration = std::time::Duration::from_secs(1);

    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let exporter = format!("{{ type: kafka, brokers: ['{brokers}'], topic: {TOPIC}, {SOON} }}");
    let taken = move || {
        // The cluster lives as long as somebody may ask.
        let brokers = cluster.bootstrap_servers();
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer =
            config.set("bootstrap.servers", brokers).set("group.id", "search").create().unwrap();
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
        consumer.assign(&places).unwrap();
        let mut kept = Vec::new();
        while let Some(message) = consumer.poll(IDLE) {
            let message = message.unwrap();
            kept.extend([message.key().unwrap_or_default(), message.payload().unwrap_or_default()].map(Vec::from));
            for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
                kept.push([header.key.as_bytes(), b": ", header.value.unwrap_or_default()].concat());
            }
        }
        kept
    };
    Sink { exporter, name: "kafka".into(), taken: Box::new(taken) }
}
