//! Resolvers: where facts come from. Each is asked a bounded number of times, and says a value or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use serde_json::Value;

use super::calendar::Times;
use super::{DeferralConfig, ResolverConfig};
use crate::model::{Call, Clock, Fact, Facts, with_causes};
use crate::net::{HttpClientError, read_body};

/// Largest answer of a lookup and largest inventory, bytes.
const BYTES_MAX: usize = 4 << 20;
/// Longest value of an argument in an address, bytes.
const ARGUMENT_BYTES_MAX: usize = 512;

/// A resolver that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The client.
    #[error("set up the resolver of `{fact}`")]
    Client {
        /// The fact.
        fact: String,
        /// Why.
        #[source]
        source: Box<HttpClientError>,
    },
    /// The file.
    #[error("read `{path}` for the resolver of `{fact}`")]
    File {
        /// The fact.
        fact: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A value that cannot be used.
    #[error("the resolver of `{fact}`: {problem}")]
    Value {
        /// The fact.
        fact: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// All resolvers, in order.
pub(in crate::approve) struct Resolvers {
    all: Vec<Resolver>,
    attempts_max: u32,
    clock: Arc<dyn Clock>,
}

struct Resolver {
    fact: Arc<str>,
    ttl_us: u64,
    source: Source,
}

enum Source {
    Calendar(Vec<Times>),
    Http { url: String, pointer: Option<String>, client: reqwest::Client },
    Inventory { key: String, values: serde_json::Map<String, Value> },
}

impl Resolvers {
    pub(in crate::approve) fn new(
        config: &DeferralConfig,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ResolverError> {
        let mut all = Vec::new();
        for resolver in &config.resolvers {
            let (fact, ttl_s) = resolver.fact();
            let source = Source::read(fact, resolver, data_dir)?;
            all.push(Resolver { fact: fact.into(), ttl_us: ttl_s.saturating_mul(1_000_000), source });
        }
        Ok(Self { all, attempts_max: config.attempts_max.max(1), clock })
    }

    /// Asks all of them about a call. What they know, how often they were asked, and who said something.
    pub(in crate::approve) async fn ask(&self, call: &Call) -> (Facts, u32, Vec<Arc<str>>) {
        let (mut facts, mut attempts, mut said) = (Facts::default(), 0, Vec::new());
        for resolver in &self.all {
            for _ in 0..self.attempts_max {
                attempts += 1;
                let now = self.clock.now();
                let value = match &resolver.source {
                    Source::Calendar(times) => Some(Value::Bool(times.iter().any(|times| times.holds(now)))),
                    Source::Inventory { key, values } => {
                        let key = call.action.arguments.value.pointer(key).and_then(Value::as_str);
                        key.and_then(|key| values.get(key)).cloned()
                    }
                    Source::Http { url, pointer, client } => {
                        let found = look_up(client, url, pointer.as_deref(), &call.action.arguments.value).await;
                        found.inspect_err(|error| tracing::warn!(fact = %resolver.fact, error, "look a fact up")).ok()
                    }
                };
                let is_local = !matches!(resolver.source, Source::Http { .. });
                if let Some(value) = value {
                    let source: Arc<str> = resolver.source.word().into();
                    let fact = Fact {
                        value,
                        source: Arc::clone(&source),
                        fetched: now,
                        expires: now.plus_micros(resolver.ttl_us),
                    };
                    facts.put(Arc::clone(&resolver.fact), fact);
                    said.push(source);
                    break;
                }
                if is_local {
                    // It would say the same again.
                    break;
                }
            }
        }
        (facts, attempts, said)
    }
}

impl Source {
    fn read(fact: &str, source: &ResolverConfig, data_dir: &Path) -> Result<Self, ResolverError> {
        let wrong = |problem| ResolverError::Value { fact: fact.to_owned(), problem };
        match source {
            ResolverConfig::Calendar { windows, .. } => {
                let times: Option<Vec<Times>> = windows.iter().map(Times::read).collect();
                Ok(Self::Calendar(times.ok_or(wrong("a window is written `HH:MM`"))?))
            }
            ResolverConfig::Http { url, pointer, client, .. } => {
                let host_end = url.find("://").and_then(|at| url.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
                let fixed = host_end.and_then(|end| url.get(..end)).ok_or(wrong("`url` needs a host and a path"))?;
                if fixed.contains('{') || Url::parse(fixed).is_err() {
                    return Err(wrong("arguments may stand only behind the host"));
                }
                let client = client
                    .build()
                    .map_err(|source| ResolverError::Client { fact: fact.to_owned(), source: Box::new(source) })?;
                Ok(Self::Http { url: url.clone(), pointer: pointer.clone(), client })
            }
            ResolverConfig::Inventory { key, file, values, .. } => {
                let mut all: serde_json::Map<String, Value> = values.clone().into_iter().collect();
                if let Some(file) = file {
                    let path = data_dir.join(file);
                    let failed = |source| ResolverError::File { fact: fact.to_owned(), path: path.clone(), source };
                    let text = std::fs::read_to_string(&path).map_err(failed)?;
                    if text.len() > BYTES_MAX {
                        return Err(wrong("the file is larger than 4 MiB"));
                    }
                    let read: serde_json::Map<String, Value> =
                        serde_saphyr::from_str(&text).map_err(|_| wrong("the file is no mapping"))?;
                    all.extend(read);
                }
                Ok(Self::Inventory { key: key.clone(), values: all })
            }
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Calendar(_) => "calendar",
            Self::Http { .. } => "http",
            Self::Inventory { .. } => "inventory",
        }
    }
}

async fn look_up(
    client: &reqwest::Client,
    url: &str,
    pointer: Option<&str>,
    arguments: &Value,
) -> Result<Value, String> {
    let url = filled(url, arguments).ok_or("an argument that the address needs is missing or too long")?;
    let response = client.get(url).send().await.map_err(|error| with_causes(&error.without_url()))?;
    if !response.status().is_success() {
        return Err(format!("HTTP {}", response.status().as_u16()));
    }
    let body = read_body(response, BYTES_MAX).await.map_err(|error| with_causes(&error))?;
    let answer: Value = serde_json::from_slice(&body).map_err(|_| "the answer is not JSON".to_owned())?;
    match pointer {
        Some(pointer) => answer.pointer(pointer).cloned().ok_or_else(|| "the answer has nothing there".to_owned()),
        None => Ok(answer),
    }
}

/// The address with arguments in it, each percent-encoded whole: none can become another path, host or query.
fn filled(template: &str, arguments: &Value) -> Option<Url> {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        let (pointer, tail) = after.split_once('}')?;
        let value = match arguments.pointer(pointer)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if value.is_empty() || value.len() > ARGUMENT_BYTES_MAX || matches!(value.as_str(), "." | "..") {
            return None;
        }
        out.push_str(before);
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    Url::parse(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_where_the_operator_put_them() {
        let arguments = serde_json::json!({ "id": "a/../b?c=d#e@f", "n": 7, "dots": "..", "list": [] });
        let url = filled("https://cmdb.example/changes/{/id}?n={/n}", &arguments).unwrap();
        assert_eq!(url.as_str(), "https://cmdb.example/changes/a%2F..%2Fb%3Fc%3Dd%23e%40f?n=7");
        for template in [
            "https://c.example/{/dots}",
            "https://c.example/{/none}",
            "https://c.example/{/list}",
            "https://c.example/{",
        ] {
            assert!(filled(template, &arguments).is_none(), "{template}");
        }
        let source = ResolverConfig::Http {
            fact: "x".into(),
            ttl_s: 1,
            url: "https://{/id}.example/".into(),
            pointer: None,
            client: crate::net::HttpClient::default(),
        };
        assert!(Source::read("x", &source, Path::new("/")).is_err());
    }
}
