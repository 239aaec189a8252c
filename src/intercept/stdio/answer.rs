//! An HTTP answer as lines: one for a JSON body, one for each event of a stream as it comes. A request is always
//! answered: what gives it no answer gives it an error, or its client would wait for ever.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;

use super::Conversation;
use crate::intercept::held::HeldProgress;
use crate::intercept::{AnswerForm, Mediate, Reply, error_line, refusal};
use crate::model::json::{Kind, Limits, scan};
use crate::model::{Call, FrameKind, Refusal};
use crate::net::{Body, Events, collect};

/// Largest answer that becomes one line. Far above what servers may write in one (16 MiB).
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// JSON-RPC "internal error": the server's answer is no use to the client.
const INTERNAL_ERROR: i64 = -32_603;

/// What must be remembered of a call to answer it.
pub(super) struct Asked {
    form: AnswerForm,
    /// The JSON-RPC id as written; `None` for what gets no answer: notifications, answers, the server's own stream.
    id: Option<Arc<str>>,
    /// A subscription ends only when somebody ends it, and so does the server's own stream.
    is_endless: bool,
}

impl Asked {
    pub(super) fn by(call: &Call) -> Self {
        let id = call.action.jsonrpc_id.clone().filter(|_| call.kind != FrameKind::Response);
        let is_endless = id.is_none() || &*call.action.method == "subscriptions/listen";
        Self { form: AnswerForm::of(call), id, is_endless }
    }

    /// Whether it is a request.
    pub(super) const fn wants_answer(&self) -> bool {
        self.id.is_some()
    }
}

/// A refusal as a line; `None` where nothing is answered.
pub(super) async fn refuse(ends: &Refusal, asked: &Asked) -> Option<Bytes> {
    asked.id.as_ref()?;
    let body = refusal(ends, &asked.form).into_body();
    collect(body, ANSWER_BYTES_MAX).await.ok().filter(|line| !line.is_empty())
}

impl<M: Mediate + Clone> Conversation<M> {
    /// Mediates one call and writes its answer.
    pub(super) async fn mediate(&self, call: Call, asked: &Asked) {
        match self.reply(call).await {
            Reply::Refused(ends) => self.send_all(refuse(&ends, asked).await).await,
            Reply::Upstream(response) => {
                let problem = if is_stream(&response) {
                    self.pass_events(response.into_body(), asked).await
                } else {
                    self.pass_whole(*response, asked).await
                };
                if let (Err(problem), Some(id)) = (problem, &asked.id) {
                    self.send_all([error_line(Some(id), INTERNAL_ERROR, &problem).into()]).await;
                }
            }
        }
    }

    /// The reply to one call; while it is held its client hears so, if it asked for progress.
    async fn reply(&self, mut call: Call) -> Reply {
        let Some(mut progress) = HeldProgress::of(&mut call) else { return self.client.mediate.mediate(call).await };
        let mut work = std::pin::pin!(self.client.mediate.mediate(call));
        loop {
            tokio::select! {
                reply = &mut work => return reply,
                line = progress.next() => self.send_all([line]).await,
            }
        }
    }

    async fn pass_whole(&self, response: Response<Body>, asked: &Asked) -> Result<(), String> {
        let status = response.status();
        let body = collect(response.into_body(), ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| format!("the server's answer broke off: {error}"))?;
        if asked.id.is_none() {
            return Ok(());
        }
        // Whatever the status, a JSON-RPC message is for the client; anything else would be a broken line to it.
        if is_object(&body) {
            self.send_all([one_line(&body)]).await;
            return Ok(());
        }
        Err(match status {
            StatusCode::NOT_FOUND => "the server has no such session".into(),
            status => format!("the server answered with HTTP status {} and no message", status.as_u16()),
        })
    }

    /// Writes the messages of a stream as they come. An error when it ends without the answer to `asked`.
    pub(super) async fn pass_events(&self, mut body: Body, asked: &Asked) -> Result<(), String> {
        let mut events = Events::new(ANSWER_BYTES_MAX);
        let mut closing = self.closing.subscribe();
        let mut answered = asked.id.is_none();
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                _closed = closing.wait_for(|closing| *closing), if asked.is_endless => {
                    return Ok(());
                }
            };
            let chunk = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) | None if answered => return Ok(()),
                Some(Err(error)) => return Err(format!("the server's answer broke off: {error}")),
                None => return Err("the server's answer ended without a result".into()),
            };
            for event in events.push(chunk).map_err(|error| error.to_string())? {
                let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
                answered |= is_answer(&data);
                self.send_all([one_line(&data)]).await;
            }
        }
    }
}

pub(super) fn is_stream(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn is_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Whether a message of a call's stream is its answer. Servers' questions and notifications have a method.
fn is_answer(message: &[u8]) -> bool {
    scan(message, Limits::default()).is_ok_and(|(text, document)| {
        let root = document.root(text);
        root.kind() == Kind::Object && root.get("method").is_none()
    })
}

/// Line ends inside a JSON text can only be white space between tokens: as spaces they change nothing.
fn one_line(message: &Bytes) -> Bytes {
    let is_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    if !message.iter().any(|byte| is_end(*byte)) {
        return message.clone();
    }
    message.iter().map(|byte| if is_end(*byte) { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}
