//! A body that is fed from another task.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::BodyError;

/// Events on their way between the server and a slow client. Few: back-pressure must reach the server.
const EVENTS_IN_FLIGHT: usize = 8;

/// A body that ends when its sender is dropped.
pub struct Streamed(mpsc::Receiver<Result<Bytes, BodyError>>);

impl Streamed {
    /// A body, and what feeds it.
    #[must_use]
    pub fn channel() -> (mpsc::Sender<Result<Bytes, BodyError>>, Self) {
        let (sender, receiver) = mpsc::channel(EVENTS_IN_FLIGHT);
        (sender, Self(receiver))
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_recv(context).map(|next| next.map(|part| part.map(Frame::data)))
    }
}
