//! One call in flight on a server process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::process::Process;
use super::routing::Part;
use crate::forward::message_id::MessageId;
use crate::model::Era;
use crate::model::json::write_string;

/// Why a call does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// Its id is held on this process by something that may never end.
    Blocked,
    /// Its client took it back.
    Cancelled,
    /// The process is gone, and why.
    Ended(String),
    /// Its client does not read what it is sent.
    Unread,
}

/// One call in flight. Dropped before its answer, it is given up: nobody waits for the answer, which is still expected.
pub(super) struct CallInFlight {
    process: Arc<Process>,
    id: MessageId,
    number: u64,
    era: Era,
    parts: mpsc::Receiver<Part>,
    cancelled: Arc<AtomicBool>,
    sent: bool,
}

impl CallInFlight {
    pub(super) const fn new(
        process: Arc<Process>,
        id: MessageId,
        number: u64,
        era: Era,
        parts: mpsc::Receiver<Part>,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self { process, id, number, era, parts, cancelled, sent: false }
    }

    /// Sends the call's line.
    ///
    /// # Errors
    /// [`Turned::Ended`]
    pub(super) async fn send(&mut self, line: Bytes) -> Result<(), Turned> {
        self.process.write(line).await?;
        self.sent = true;
        Ok(())
    }

    /// The next message for this call.
    ///
    /// # Errors
    /// [`Turned`]: there is none, and its answer did not come.
    pub(super) async fn next(&mut self) -> Result<Part, Turned> {
        match self.parts.recv().await {
            Some(part) => Ok(part),
            None if !self.process.is_alive() => Err(self.process.ended()),
            None if self.cancelled.load(Ordering::Acquire) => Err(Turned::Cancelled),
            None => Err(Turned::Unread),
        }
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        let given_up = if self.sent {
            self.process.routing().abandon(&self.id, self.number)
        } else {
            self.process.routing().forget(&self.id, self.number);
            false
        };
        self.process.released();
        if given_up && self.era == Era::Modern {
            // Over stdio a call is cancelled by a notification (MCP 2026-07-28, stdio). In the older era a client that
            // goes away cancels nothing.
            self.process.write_now(cancellation(&self.id).into());
        }
    }
}

fn cancellation(id: &MessageId) -> String {
    let mut line =
        String::from("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":");
    match id {
        MessageId::Number(number) => line.push_str(number),
        MessageId::Text(text) => write_string(&mut line, text),
    }
    line.push_str("}}");
    line
}
