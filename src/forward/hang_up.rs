//! Whether the client still waits.

use tokio::sync::watch;

use crate::model::Era;

/// Tells the work on a call that its client went away. In the newer era that cancels the call (MCP 2026-07-28, transport:
/// closing the stream is the cancellation); in the older one it means nothing.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Option<watch::Receiver<()>>);

/// Held by whoever waits for the reply; its end before the reply is the hang-up.
#[derive(Debug)]
pub struct Waiting {
    _ends_with_this: watch::Sender<()>,
}

impl HangUp {
    /// For a call of `era`.
    #[must_use]
    pub fn of(era: Era) -> (Waiting, Self) {
        let (sender, receiver) = watch::channel(());
        (Waiting { _ends_with_this: sender }, Self((era == Era::Modern).then_some(receiver)))
    }

    /// Resolves when the client went away, and that cancels its call. May be asked again.
    pub async fn happened(&self) {
        match &self.0 {
            // Nothing is ever sent: it only ends.
            Some(receiver) => while receiver.clone().changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}
