//! Lines of bounded length from a pipe. A longer line is reported as soon as it passes the limit and skipped to its
//! end; it is never held and never cut.

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What stands next in a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end (`\n` or `\r\n`).
    Whole(Bytes),
    /// A line past the limit. Whoever reads on gets the line after it.
    TooLong,
}

/// Cuts what is read into lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    bytes_max: usize,
    waiting: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of at most `bytes_max` bytes, their ends not counted.
    #[must_use]
    pub const fn new(reader: R, bytes_max: usize) -> Self {
        Self { reader, bytes_max, waiting: Vec::new(), skipping: false }
    }

    /// The next line; `None` at the end. What stands behind the last line end is a line too. Dropped while it waits,
    /// nothing that was read is lost.
    ///
    /// # Errors
    /// The pipe's own.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                let rest = !self.waiting.is_empty();
                return Ok(rest.then(|| self.take()));
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            let used = part.len() + usize::from(end.is_some());
            // One byte more than the limit may be the `\r` of the line's end.
            let fits = self.waiting.len().saturating_add(part.len()) <= self.bytes_max.saturating_add(1);
            if fits && !self.skipping {
                self.waiting.extend_from_slice(part);
            }
            self.reader.consume(used);
            if self.skipping {
                self.skipping = end.is_none();
            } else if !fits {
                self.skipping = end.is_none();
                self.waiting = Vec::new();
                return Ok(Some(Line::TooLong));
            } else if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    /// What is read from, with what was read ahead.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.reader
    }

    fn take(&mut self) -> Line {
        let mut line = std::mem::take(&mut self.waiting);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > self.bytes_max { Line::TooLong } else { Line::Whole(line.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], bytes_max: usize, step: usize) -> Vec<Line> {
        let reader = tokio::io::BufReader::with_capacity(step, text);
        let mut lines = Lines::new(reader, bytes_max);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn cuts_lines_however_they_arrive() {
        for step in 1..20 {
            let found = lines(b"one\r\n\n{\"a\":\r1}\r\nrest", 100, step).await;
            assert_eq!(found, [whole("one"), whole(""), whole("{\"a\":\r1}"), whole("rest")], "step {step}");
        }
    }

    #[tokio::test]
    async fn skips_a_line_past_the_limit_and_goes_on() {
        for step in 1..20 {
            let found = lines(b"1234\r\n12345\n123456789", 4, step).await;
            assert_eq!(found, [whole("1234"), Line::TooLong, Line::TooLong], "step {step}");
            assert_eq!(lines(b"123456789\nok\n123456789", 4, step).await, [Line::TooLong, whole("ok"), Line::TooLong]);
        }
    }
}
