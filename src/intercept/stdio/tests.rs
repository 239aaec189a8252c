//! A scripted product behind a client on a pair of pipes.

use std::collections::VecDeque;
use std::sync::Mutex;

use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::*;
use crate::intercept::Reply;
use crate::model::{FrameKind, ManualClock, Transport};
use crate::net::{Body, empty, full};

/// Answers in the order of its script and remembers what it was asked.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    replies: VecDeque<Answer>,
    /// Ends the server's own stream when dropped.
    own_stream: Option<mpsc::Receiver<Bytes>>,
}

enum Answer {
    Now(Reply),
    Later(oneshot::Receiver<Reply>),
}

impl Mediate for Scripted {
    async fn mediate(&self, call: Call) -> Reply {
        let answer = {
            let mut script = self.0.lock().unwrap();
            let is_get = call.outbound.method == Method::GET;
            let own = script.own_stream.take_if(|_| is_get);
            script.calls.push(call.clone());
            match own {
                Some(messages) => Answer::Now(upstream("text/event-stream", streamed(messages))),
                None => script.replies.pop_front().unwrap_or_else(|| Answer::Now(upstream("", empty()))),
            }
        };
        match answer {
            Answer::Now(reply) => reply,
            Answer::Later(reply) => reply.await.unwrap(),
        }
    }
}

impl Scripted {
    fn will(&self, reply: Reply) {
        self.0.lock().unwrap().replies.push_back(Answer::Now(reply));
    }

    fn will_later(&self) -> oneshot::Sender<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().replies.push_back(Answer::Later(receiver));
        sender
    }

    fn methods(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.iter().map(|call| call.action.method.to_string()).collect()
    }
}

fn upstream(kind: &'static str, body: Body) -> Reply {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Reply::Upstream(Box::new(response))
}

fn whole(body: impl ToString) -> Reply {
    upstream("application/json", full(body.to_string()))
}

fn events(body: &str) -> Reply {
    upstream("text/event-stream", full(body.to_owned()))
}

fn status(status: StatusCode) -> Reply {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    Reply::Upstream(Box::new(response))
}

/// A body that is fed by the test.
fn streamed(messages: mpsc::Receiver<Bytes>) -> Body {
    struct Fed(mpsc::Receiver<Bytes>);
    impl hyper::body::Body for Fed {
        type Data = Bytes;
        type Error = crate::net::BodyError;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            self.0.poll_recv(context).map(|next| next.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
        }
    }
    Fed(messages).boxed_unsync()
}

/// The client's end of the pipes.
struct Pipes {
    input: WriteHalf<DuplexStream>,
    output: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Pipes {
    fn open(mediate: &Scripted) -> Self {
        let client = StdioClient {
            mediate: mediate.clone(),
            server: "files".into(),
            credentials: Credentials { operating_system_user: Some("alice".into()), ..Credentials::default() },
            clock: Arc::new(ManualClock::default()),
            line_bytes_max: 1_000,
            wrappers: Vec::new(),
        };
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let served = tokio::spawn(client.serve(input, output));
        let (output, input) = tokio::io::split(ours);
        Self { input, output: BufReader::new(output).lines(), served }
    }

    async fn write(&mut self, message: impl ToString) {
        self.input.write_all(format!("{}\n", message.to_string()).as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        self.output.next_line().await.unwrap().expect("a line")
    }

    async fn read(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Ends the input and returns what is still said.
    async fn end(mut self) -> (Vec<Value>, std::io::Result<()>) {
        self.input.shutdown().await.unwrap();
        let mut said = Vec::new();
        let served = self.served.await.unwrap();
        drop(self.input);
        while let Ok(Some(line)) = self.output.next_line().await {
            said.push(serde_json::from_str(&line).unwrap());
        }
        (said, served)
    }
}

fn request(id: impl Into<Value>, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": { "name": "read" } })
}

#[tokio::test]
async fn an_answer_is_a_line_with_the_bytes_that_came() {
    let mediate = Scripted::default();
    mediate.will(whole("{\"jsonrpc\":\"2.0\",\r\n\"id\":1, \"result\":{\"n\":1e2}}"));
    let mut pipes = Pipes::open(&mediate);
    let line = "{\"id\":1, \"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"n\":1.50}}";
    pipes.write(format!("{line}\r")).await;
    assert_eq!(pipes.line().await, "{\"jsonrpc\":\"2.0\",  \"id\":1, \"result\":{\"n\":1e2}}");
    let call = mediate.0.lock().unwrap().calls.pop().unwrap();
    assert_eq!(call.outbound.body, line, "and so is the call");
    assert_eq!((call.client.transport, call.kind), (Transport::McpStdio, FrameKind::Action));
    assert_eq!(call.client.peer, Peer::Process(std::os::unix::process::parent_id()));
    assert_eq!(call.credentials.operating_system_user.as_deref(), Some("alice"));
    assert!(pipes.end().await.1.is_ok());
}

#[tokio::test]
async fn events_are_lines_as_they_come() {
    let mediate = Scripted::default();
    let stream = ": comment\n\nid: 1\ndata:\n\nevent: message\ndata: {\"method\":\"notifications/progress\"}\n\n\
                  data: {\"id\":1,\ndata: \"result\":{}}\r\n\r\n";
    mediate.will(events(stream));
    let mut pipes = Pipes::open(&mediate);
    pipes.write(request(1, "tools/call")).await;
    assert_eq!(pipes.line().await, "{\"method\":\"notifications/progress\"}");
    assert_eq!(pipes.line().await, "{\"id\":1, \"result\":{}}");
    assert_eq!(pipes.end().await.0, [] as [Value; 0]);
}

#[tokio::test]
async fn a_held_call_tells_its_progress_where_it_was_asked_for() {
    let mediate = Scripted::default();
    let answer = mediate.will_later();
    let mut pipes = Pipes::open(&mediate);
    let mut message = request(1, "tools/call");
    message["params"]["_meta"] = json!({ "progressToken": "p" });
    pipes.write(message).await;
    let held = loop {
        if let Some(call) = mediate.0.lock().unwrap().calls.last() {
            break call.client.held.clone();
        }
        tokio::task::yield_now().await;
    };
    held.set(true);
    for told in 1..=2 {
        let said = pipes.read().await;
        assert_eq!(
            (&said["method"], &said["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("p"))
        );
        assert_eq!(said["params"]["progress"], json!(f64::from(told) / 1e6));
    }
    held.set(false);
    answer.send(whole("{\"id\":1,\"result\":{}}")).unwrap();
    assert_eq!(pipes.line().await, "{\"id\":1,\"result\":{}}");
    assert_eq!(pipes.end().await.0, [] as [Value; 0]);
}

#[tokio::test]
async fn a_request_is_always_answered_and_nothing_else_is() {
    let mediate = Scripted::default();
    mediate.will(status(StatusCode::NOT_FOUND));
    mediate.will(events("data: {\"method\":\"notifications/progress\"}\n\n"));
    mediate.will(whole("<html>"));
    let refusal = || Reply::Refused(Box::new(Refusal::new(RefusalKind::LogUnavailable, "outside", "inside")));
    mediate.will(refusal());
    let mut pipes = Pipes::open(&mediate);
    let error = |answer: Value| (answer["id"].clone(), answer["error"]["code"].clone());
    pipes.write(request("a", "tools/list")).await;
    assert_eq!(error(pipes.read().await), (json!("a"), json!(-32603)));
    pipes.write(request("b", "tools/call")).await;
    assert_eq!(pipes.read().await["method"], "notifications/progress");
    assert_eq!(error(pipes.read().await), (json!("b"), json!(-32603)));
    pipes.write(request("c", "tools/call")).await;
    assert_eq!(error(pipes.read().await), (json!("c"), json!(-32603)));
    pipes.write(request("d", "tools/call")).await;
    assert_eq!(pipes.read().await["result"]["isError"], true);
    // Neither a notification nor an answer is answered, whatever becomes of it.
    for message in
        [json!({ "jsonrpc": "2.0", "method": "notifications/x" }), json!({ "jsonrpc": "2.0", "id": 7, "result": {} })]
    {
        mediate.will(refusal());
        pipes.write(&message).await;
        mediate.will(status(StatusCode::NOT_FOUND));
        pipes.write(message).await;
    }
    assert_eq!(pipes.end().await.0, [] as [Value; 0]);
    assert_eq!(mediate.methods().len(), 8);
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_and_the_next_line_is_read() {
    let mediate = Scripted::default();
    let mut pipes = Pipes::open(&mediate);
    for (line, code, id) in [
        ("{\"id\":1,", -32700, json!(null)),
        ("[]", -32600, json!(null)),
        ("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":[]}", -32602, json!(5)),
        ("{\"jsonrpc\":\"2.0\",\"id\":6,\"id\":7,\"method\":\"ping\"}", -32700, json!(null)),
        (&*"x".repeat(1_001), -32600, json!(null)),
    ] {
        pipes.write(line).await;
        let answer = pipes.read().await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{line}");
    }
    mediate.will(whole(json!({ "id": 8, "result": {} })));
    pipes.write("").await;
    pipes.write(request(8, "ping")).await;
    assert_eq!(pipes.read().await["id"], 8);
    assert_eq!(mediate.methods(), ["ping"]);
}

#[tokio::test]
async fn calls_run_side_by_side_and_answers_to_the_server_get_through() {
    let mediate = Scripted::default();
    let waiting: Vec<_> = (0..CALLS_MAX).map(|_| mediate.will_later()).collect();
    let mut pipes = Pipes::open(&mediate);
    for id in 0..CALLS_MAX {
        pipes.write(request(id, "tools/call")).await;
    }
    pipes.write(request("one more", "tools/call")).await;
    let refused = pipes.read().await;
    assert_eq!((&refused["id"], &refused["result"]["isError"]), (&json!("one more"), &json!(true)));
    pipes.write(json!({ "jsonrpc": "2.0", "id": "question", "result": {} })).await;
    // Answered from the last to the first: nobody waits in line.
    for (id, answer) in waiting.into_iter().enumerate().rev() {
        drop(answer.send(whole(json!({ "id": id, "result": {} }))));
        assert_eq!(pipes.read().await["id"], id);
    }
    assert_eq!(mediate.methods().len(), CALLS_MAX + 1, "the answer was passed on, the call too many was not");
}

#[tokio::test]
async fn the_servers_own_messages_come_after_the_handshake_and_its_end_is_ours() {
    let mediate = Scripted::default();
    let (own, messages) = mpsc::channel(4);
    mediate.0.lock().unwrap().own_stream = Some(messages);
    mediate.will(whole(json!({ "id": 0, "result": {} })));
    let mut pipes = Pipes::open(&mediate);
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    pipes.write(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello })).await;
    assert_eq!(pipes.read().await["id"], 0);
    own.send(Bytes::from_static(b": still here\n\ndata: {\"method\":\"roots/list\",\"id\":1}\n\n")).await.unwrap();
    assert_eq!(pipes.read().await["method"], "roots/list");
    let opened = mediate.0.lock().unwrap().calls.pop().unwrap();
    assert_eq!((opened.kind, &*opened.action.method), (FrameKind::Protocol, "GET"));
    assert_eq!((opened.client.name.as_deref(), opened.action.jsonrpc_id), (Some("c"), None));
    assert!(opened.outbound.body.is_empty());
    drop(own);
    let served = pipes.served.await.unwrap();
    assert!(served.unwrap_err().to_string().contains("`files` has ended"));
}

#[tokio::test]
async fn the_end_of_the_input_ends_what_has_no_end_and_waits_for_the_rest() {
    let mediate = Scripted::default();
    let (own, messages) = mpsc::channel(4);
    let (listening, listened) = mpsc::channel(4);
    mediate.0.lock().unwrap().own_stream = Some(messages);
    mediate.will(whole(json!({ "id": 0, "result": {} })));
    mediate.will(upstream("text/event-stream", streamed(listened)));
    let held = mediate.will_later();
    let mut pipes = Pipes::open(&mediate);
    pipes.write(request(0, "initialize")).await;
    pipes.read().await;
    own.send(Bytes::from_static(b"data: {\"method\":\"a\"}\n\n")).await.unwrap();
    pipes.read().await;
    pipes.write(request(1, "subscriptions/listen")).await;
    listening.send(Bytes::from_static(b"data: {\"method\":\"b\"}\n\n")).await.unwrap();
    pipes.read().await;
    pipes.write(request(2, "tools/call")).await;
    let answering = async {
        // Both streams are let go of when the input has ended; the call is still waited for then.
        tokio::join!(own.closed(), listening.closed());
        drop(held.send(whole(json!({ "id": 2, "result": {} }))));
    };
    let ((said, served), ()) = tokio::join!(pipes.end(), answering);
    assert!(served.is_ok());
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["id"], 2);
}
