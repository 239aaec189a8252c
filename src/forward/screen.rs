//! Rules about results at work: an answer that one of them can be about is held whole, and passed, changed or withheld.
//!
//! An answer that no such rule is about never comes here: it streams as it came.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::context::Session;
use crate::decide::{CompiledTool, Input, PolicySet, ResultFacts, ResultRuling, Withheld};
use crate::model::{Call, Enforcement, Facts, Identity, Outcome, ResultText, SessionContext};
use crate::net::{Body, Events, full};

/// What it takes to look at the answer to one action: the policies and the context that it was decided with.
pub struct Screen {
    policies: Arc<PolicySet>,
    call: Call,
    identity: Identity,
    context: SessionContext,
    tool: Option<Arc<CompiledTool>>,
    session: Arc<Session>,
    bytes_max: usize,
}

impl Screen {
    /// `None` when no rule can be about what this action returns. `bytes_max`: the largest answer that is looked at.
    #[must_use]
    pub fn new(
        policies: &Arc<PolicySet>,
        input: &Input<'_>,
        tool: Option<Arc<CompiledTool>>,
        session: &Arc<Session>,
        bytes_max: usize,
    ) -> Option<Self> {
        let looks = input.enforcement == Enforcement::Enforce && policies.inspects_results(&input.call.action);
        looks.then(|| Self {
            policies: Arc::clone(policies),
            call: input.call.clone(),
            identity: input.identity.clone(),
            context: input.context.clone(),
            tool,
            session: Arc::clone(session),
            bytes_max,
        })
    }

    /// The outcome with what is done about the answer, for the record.
    #[must_use]
    pub fn note(&self, outcome: Outcome, text: &ResultText) -> Outcome {
        let looked_at = (text.whole && text.bytes.len() <= self.bytes_max).then_some(&text.bytes);
        let done = match self.rule(looked_at) {
            ResultRuling::Pass => return outcome,
            ResultRuling::Redact(redaction) => format!("redacted by {}", redaction.rules.join(", ")),
            ResultRuling::Withhold(withheld) => format!("withheld: {}", withheld.reason),
        };
        Outcome { error: Some(done.into()), ..outcome }
    }

    /// Holds the answer and passes it as it came, or without some pieces.
    ///
    /// # Errors
    /// It is withheld.
    pub async fn apply(&self, response: Response<Body>) -> Result<Response<Body>, Withheld> {
        let (mut head, body) = response.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let streams = kind.starts_with("text/event-stream");
        let held = hold(body, self.bytes_max).await;
        let passed = match held {
            Some(bytes) if streams => self.stream(bytes)?,
            Some(bytes) if bytes.is_empty() => bytes,
            Some(bytes) => self.message(bytes)?,
            // Too large, or broken off.
            None => match self.rule(None) {
                ResultRuling::Withhold(withheld) => return Err(withheld),
                ResultRuling::Pass | ResultRuling::Redact(_) => Bytes::new(),
            },
        };
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, full(passed)))
    }

    /// Every event of a stream that carries an answer or anything else.
    fn stream(&self, bytes: Bytes) -> Result<Bytes, Withheld> {
        let mut events = Events::new(self.bytes_max);
        let mut out = Vec::with_capacity(bytes.len());
        for event in events.push(bytes).unwrap_or_default() {
            let Some(data) = event.data.as_ref().filter(|data| !data.is_empty()) else {
                out.extend_from_slice(&event.raw);
                continue;
            };
            let passed = self.message(data.clone())?;
            if passed == *data {
                out.extend_from_slice(&event.raw);
                continue;
            }
            // The other lines of the event (`event:`, `id:`) stay; JSON has no line breaks of its own.
            for line in
                event.raw.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"data") && !line.is_empty())
            {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&passed);
            out.extend_from_slice(b"\n\n");
        }
        Ok(out.into())
    }

    /// One message, or the body of a plain HTTP answer.
    fn message(&self, bytes: Bytes) -> Result<Bytes, Withheld> {
        match self.rule(Some(&bytes)) {
            ResultRuling::Pass => Ok(bytes),
            ResultRuling::Withhold(withheld) => Err(withheld),
            ResultRuling::Redact(redaction) => match serde_json::from_slice::<Value>(&bytes) {
                Ok(mut value) => {
                    // The envelope stays: who asked must find its answer.
                    let pieces = match value.get_mut("jsonrpc").is_some() {
                        true => ["result", "error", "params"]
                            .iter()
                            .filter_map(|name| value.get_mut(*name).map(|part| redaction.apply_to(part)))
                            .sum(),
                        false => redaction.apply_to(&mut value),
                    };
                    Ok(if pieces == 0 { bytes } else { value.to_string().into() })
                }
                Err(_) => {
                    let text = String::from_utf8_lossy(&bytes);
                    Ok(redaction.apply(&text).0.into_owned().into())
                }
            },
        }
    }

    fn rule(&self, answer: Option<&Bytes>) -> ResultRuling {
        let input = Input {
            call: &self.call,
            identity: &self.identity,
            context: &self.context,
            usage: &[],
            facts: Facts::NONE,
            tool: self.tool.as_deref(),
            enforcement: Enforcement::Enforce,
        };
        let Some(answer) = answer else { return self.policies.decide_result(&input, None) };
        let value: Option<Value> = serde_json::from_slice(answer).ok();
        let text = String::from_utf8_lossy(answer);
        let mut texts: Vec<&str> = Vec::new();
        match &value {
            Some(value) => collect(value, &mut texts),
            None => texts.push(&text),
        }
        let classified = self.session.classify(&self.call.action, answer);
        let facts = ResultFacts {
            texts: &texts,
            bytes: u64::try_from(answer.len()).unwrap_or(u64::MAX),
            is_error: value.as_ref().and_then(|value| value.pointer("/result/isError")?.as_bool()).unwrap_or(false),
            level: classified.level.map(|(level, _)| level),
            labels: Some(&classified.labels),
            // Reading every sentence takes time: only where a rule asks.
            instruction_like: self
                .policies
                .asks_for_wording(&self.call.action)
                .then(|| self.session.is_instruction_like(answer)),
        };
        self.policies.decide_result(&input, Some(&facts))
    }
}

/// All of a body; `None` when it is larger than that, or breaks off.
async fn hold(mut body: Body, bytes_max: usize) -> Option<Bytes> {
    let mut held = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if held.len() + data.len() > bytes_max {
            return None;
        }
        held.extend_from_slice(&data);
    }
    Some(held.freeze())
}

/// Every text of a value. Tools put JSON into texts; what is inside is a text all the same.
fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        Value::String(text) => texts.push(text),
        Value::Bool(_) | Value::Null | Value::Number(_) => {}
    }
}
