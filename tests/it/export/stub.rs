//! A receiver on loopback that speaks a protocol, remembers what it took, and fails by script.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use countersign::net::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::harness::{Received, respond};

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// An answer, and nothing is taken.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// No answer ever.
    Stall,
    /// The connection is closed, and nothing is taken.
    Reset,
    /// Everything is taken, and then the connection is closed.
    TakeAndReset,
}

/// How a receiver answers when nothing goes wrong. Returns the ids it took for good.
pub(super) trait Protocol: Send + Sync {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>);

    /// Whether the script applies to this request.
    fn is_delivery(&self, _request: &Received) -> bool {
        true
    }
}

pub(super) struct Stub {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    protocol: Box<dyn Protocol>,
    faults: Mutex<VecDeque<Fault>>,
    taken: Mutex<Vec<String>>,
    requests: Mutex<Vec<Received>>,
}

impl Stub {
    pub(super) async fn start(protocol: impl Protocol + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            protocol: Box::new(protocol),
            faults: Mutex::default(),
            taken: Mutex::default(),
            requests: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| serve(Arc::clone(&shared), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, shared }
    }

    /// The next delivery goes wrong like this.
    pub(super) fn fail(&self, fault: Fault) {
        self.shared.faults.lock().unwrap().push_back(fault);
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Ids in the order in which they were taken, repeats included.
    pub(super) fn taken(&self) -> Vec<String> {
        self.shared.taken.lock().unwrap().clone()
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        self.shared.requests.lock().unwrap().clone()
    }
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut headers = parts.headers;
    headers.insert("x-path", parts.uri.to_string().parse().unwrap());
    let received = Received { method: parts.method, headers, body };
    shared.requests.lock().unwrap().push(received.clone());
    let scripted = shared.protocol.is_delivery(&received);
    let fault = if scripted { shared.faults.lock().unwrap().pop_front() } else { None };
    let reset = || std::io::Error::other("as the script says");
    match fault {
        Some(Fault::Answer(status, headers, body)) => {
            let mut response = respond(StatusCode::from_u16(status).unwrap(), body);
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            return Ok(response);
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Reset) => return Err(reset()),
        Some(Fault::TakeAndReset) | None => {}
    }
    let (response, ids) = shared.protocol.answer(&received);
    shared.taken.lock().unwrap().extend(ids);
    if fault.is_some() { Err(reset()) } else { Ok(response) }
}

/// The body of a request, decompressed.
pub(super) fn text(request: &Received) -> String {
    if request.headers.get("content-encoding").is_none() {
        return String::from_utf8(request.body.to_vec()).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
    text
}
