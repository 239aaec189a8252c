//! Receivers that keep every byte, for the search for secrets: those that do not speak plain HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};

/// Where the product sends, and what came there.
pub(crate) struct Sink {
    /// What the destination is configured with.
    pub(crate) exporter: String,
    pub(crate) name: &'static str,
    taken: Box<dyn Fn() -> Vec<u8>>,
}

impl Sink {
    /// Every byte that came, in any order.
    pub(crate) fn taken(&self) -> Vec<u8> {
        (self.taken)()
    }
}

type Kept = Arc<Mutex<Vec<u8>>>;

fn sink(name: &'static str, exporter: String, kept: &Kept) -> Sink {
    let kept = Arc::clone(kept);
    Sink { exporter, name, taken: Box::new(move || kept.lock().unwrap().clone()) }
}

const SOON: &str = "delivery: { linger_ms: 20, retry_base_ms: 5, retry_cap_ms: 50 }";

/// All of them that this program was built with.
pub(crate) async fn all() -> Vec<Sink> {
    let all = vec![stream().await, datagrams().await];
    #[cfg(feature = "otlp-grpc")]
    let all: Vec<Sink> = all.into_iter().chain([grpc().await]).collect();
    #[cfg(feature = "kafka")]
    let all: Vec<Sink> = all.into_iter().chain([kafka()]).collect();
    all
}

async fn stream() -> Sink {
    let (listener, kept) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Kept::default());
    let address = listener.local_addr().unwrap();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let keeping = Arc::clone(&keeping);
            tokio::spawn(async move {
                let mut part = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut part).await {
                    keeping.lock().unwrap().extend_from_slice(&part[..count]);
                }
            });
        }
    });
    sink("syslog", format!("{{ type: syslog, address: '{address}', transport: tcp, schema: cef, {SOON} }}"), &kept)
}

async fn datagrams() -> Sink {
    let (socket, kept) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), Kept::default());
    let address: SocketAddr = socket.local_addr().unwrap();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        let mut part = vec![0; 65_536];
        while let Ok(count) = socket.recv(&mut part).await {
            let mut keeping = keeping.lock().unwrap();
            keeping.extend_from_slice(&part[..count]);
            keeping.push(b'\n');
        }
    });
    let exporter = format!("{{ type: syslog, name: udp, address: '{address}', transport: udp, schema: cef, {SOON} }}");
    sink("udp", exporter, &kept)
}

/// Takes requests of gRPC and answers none as it should: what counts is that the bytes came.
#[cfg(feature = "otlp-grpc")]
async fn grpc() -> Sink {
    use http_body_util::BodyExt;
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
                    keeping.lock().unwrap().extend([head.as_bytes(), &*body].concat());
                    Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Empty::<bytes::Bytes>::new()))
                }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    });
    let exporter = format!(
        "{{ type: otlp, name: grpc, protocol: grpc, url: 'http://{address}', compression: none, schema: otel, {SOON} }}"
    );
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
            kept.extend(
                [message.key().unwrap_or_default(), b"\n", message.payload().unwrap_or_default(), b"\n"].concat(),
            );
            for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
                kept.extend([header.key.as_bytes(), b": ", header.value.unwrap_or_default(), b"\n"].concat());
            }
        }
        kept
    };
    Sink { exporter, name: "kafka", taken: Box::new(taken) }
}
