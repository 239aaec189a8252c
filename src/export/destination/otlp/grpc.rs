//! OTLP over gRPC: the protocol is tonic's, the connection that of the one HTTP client, so that private authorities,
//! client certificates, proxies and time limits are those of all other destinations.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::super::http::{BodyCompression, offload};
use super::super::{Batch, SendError};
use super::message::{ExportLogsServiceResponse, request};

/// The one method of the service.
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// What go-grpc says about a message beyond its limit; the code alone means a quota too.
const LARGER: &str = "larger than max";

/// Where a request goes, and what stands in its head.
pub(super) struct Call {
    pub(super) client: reqwest::Client,
    pub(super) origin: Uri,
    pub(super) headers: HeaderMap,
    pub(super) compression: BodyCompression,
}

impl Call {
    /// Sends a batch.
    ///
    /// # Errors
    /// [`SendError`] by the status of the answer.
    pub(super) async fn export(self, batch: Batch) -> Result<ExportLogsServiceResponse, SendError> {
        let Self { client, origin, headers, compression } = self;
        let message = offload(move || Ok(request(&batch))).await?;
        // Receivers answer in the encoding they were written to, whatever we say we read.
        let channel = Channel { client, headers };
        let mut grpc = Grpc::with_origin(channel, origin).accept_compressed(CompressionEncoding::Gzip);
        if compression == BodyCompression::Gzip {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        grpc.ready().await.map_err(|error| SendError::later(error.to_string()))?;
        let (path, codec) = (PathAndQuery::from_static(EXPORT), ProstCodec::default());
        let answer = grpc.unary(tonic::Request::new(message), path, codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure(&status))
    }
}

/// The HTTP client, as tonic wants it.
struct Channel {
    client: reqwest::Client,
    headers: HeaderMap,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<reqwest::Body>, SendError>> + Send>>;

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<reqwest::Body>;
    type Error = SendError;
    type Future = Answering;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Answering {
        let (client, headers) = (self.client.clone(), self.headers.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.headers.extend(headers);
            let runtime = tokio::runtime::Handle::current();
            // The message is encoded and compressed while its body is read: not on the threads that move bytes.
            let body = offload(move || {
                let read = runtime.block_on(body.collect());
                Ok(read.map_err(|status| SendError::later(status.to_string()))?.to_bytes())
            });
            let request = reqwest::Request::try_from(Request::from_parts(parts, body.await?));
            let request = request.map_err(|error| SendError::Refused(error.without_url().to_string()))?;
            let told = |error: reqwest::Error| SendError::later(crate::model::with_causes(&error.without_url()));
            client.execute(request).await.map(Response::from).map_err(told)
        })
    }
}

/// The class of a status (OTLP specification, "Failures": which of them may be tried again).
fn failure(status: &Status) -> SendError {
    // What went wrong before there was a status: the connection, a time limit.
    let source = std::error::Error::source(status).and_then(|source| source.downcast_ref::<SendError>());
    if let Some(error) = source {
        return error.clone();
    }
    let problem = format!("gRPC {:?}: {}", status.code(), status.message().chars().take(400).collect::<String>());
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::NotFound => {
            SendError::Refused(problem)
        }
        Code::InvalidArgument => SendError::Rejected { problem, position: None },
        Code::ResourceExhausted if status.message().contains(LARGER) => SendError::TooLarge(problem),
        _ => SendError::Later { problem, retry_after: retry_delay(status.details()) },
    }
}

/// `google.rpc.Status` with `google.rpc.RetryInfo`, as far as they are read.
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long the receiver asks to be left alone.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let details = Details::decode(details).ok()?.details;
    let detail = details.iter().find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*detail.value).ok()?.retry_delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_classes() {
        let class = |code, message: &str| match failure(&Status::new(code, message)) {
            SendError::Later { .. } => "later",
            SendError::Refused(_) => "refused",
            SendError::Rejected { .. } => "rejected",
            SendError::TooLarge(_) => "large",
        };
        for (code, message, wanted) in [
            (Code::Unavailable, "", "later"),
            (Code::DeadlineExceeded, "", "later"),
            (Code::ResourceExhausted, "quota", "later"),
            (Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)", "large"),
            (Code::Unauthenticated, "", "refused"),
            (Code::Unimplemented, "", "refused"),
            (Code::InvalidArgument, "", "rejected"),
        ] {
            assert_eq!(class(code, message), wanted, "{code:?}");
        }
    }

    #[test]
    fn the_receiver_says_when_to_come_back() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 7, nanos: 500_000_000 }) };
        let detail =
            Detail { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info.encode_to_vec() };
        let details = Details { details: vec![detail] }.encode_to_vec();
        let status = Status::with_details(Code::ResourceExhausted, "quota", details.into());
        let SendError::Later { retry_after, .. } = failure(&status) else { panic!("{status:?}") };
        assert_eq!(retry_after, Some(Duration::from_millis(7_500)));
    }
}
