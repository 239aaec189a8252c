//! The destination that the manual adds as an example: compiled, so that the page stays true.

#![allow(dead_code, unreachable_pub, reason = "an example: that it compiles is all it has to do")]

use reqwest::Url;
use serde::Deserialize;

use super::http::{BodyCompression, Outgoing, address, client};
use super::{Batch, Delivery, Destination, Limits, Opening, Sending, Settings};
use crate::export::ExportError;
use crate::net::HttpClient;

/// A pager service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerConfig {
    /// Where it is.
    pub url: String,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

struct Pager {
    name: String,
    url: Url,
    client: reqwest::Client,
}

impl Settings for PagerConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let url = address(opening.name, &self.url)?;
        Ok(Box::new(Pager { name: opening.name.into(), url, client: client(opening.name, &self.http)? }))
    }
}

impl Destination for Pager {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits { events_max: 100, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(async move {
            let body = batch.lines().into_bytes();
            let outgoing = Outgoing::new("application/x-ndjson", body, BodyCompression::Gzip)?;
            let answer = outgoing.post(&self.client, self.url.clone()).await?;
            if answer.status.is_success() { Ok(Delivery::default()) } else { Err(answer.failure()) }
        })
    }
}

#[test]
fn the_manual_shows_this_file() {
    let indented = |line: &str| if line.is_empty() { String::new() } else { format!("   {line}") };
    let file: Vec<String> = include_str!("example.rs").lines().map(indented).collect();
    let manual: Vec<&str> = include_str!("../../manual/exporting.md").lines().collect();
    let shown = manual.iter().skip_while(|line| **line != "   ```rust,ignore").skip(1);
    let shown: Vec<&str> = shown.take_while(|line| **line != "   ```").copied().collect();
    assert!(shown.len() > 30, "{} lines", shown.len());
    for line in shown {
        assert!(file.iter().any(|written| written == line), "not in this file: {line}");
    }
}
