//! MCP over HTTP/1.1 as the client of the bench speaks it: requests that are written once and patched, replies that are
//! compared byte by byte. No socket here.
//!
//! Building and checking must cost little: the client shares the machine with what it measures.

use super::Fallible;

/// Length of the arguments of every call, in bytes of JSON text.
pub(crate) const ARGUMENTS_LENGTH: usize = 1_024;
/// Digits of every request id. 16 digits stay below 2^53, the largest integer that all JSON readers hold exactly.
pub(crate) const ID_DIGITS: usize = 16;
/// Longest reply head that is read. The replies of the bench's own server have 150 bytes.
const HEAD_MAX: usize = 16 * 1_024;

/// Which revision of MCP the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// `initialize` and a session: 2025-11-25.
    Legacy,
    /// Stateless: 2026-07-28.
    Modern,
}

impl Era {
    /// Reads the value of `--era`.
    ///
    /// # Errors
    /// Anything but `legacy` and `modern`.
    pub(crate) fn read(text: &str) -> Fallible<Self> {
        match text {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            other => Err(format!("`{other}` is no era; there are `legacy` and `modern`").into()),
        }
    }

    /// The value of `MCP-Protocol-Version`.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// Where and as whom calls are sent.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) bearer: Option<String>,
    pub(crate) era: Era,
}

impl Target {
    /// One POST with `body`. `session` is the value of `Mcp-Session-Id`, `method` and `name` are what the modern era
    /// repeats in headers.
    pub(crate) fn post(&self, session: Option<&str>, method: &str, name: Option<&str>, body: &str) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nContent-Length: {}\r\n",
            self.path,
            self.address,
            body.len()
        );
        let mut header = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                head.push_str(part);
            }
        };
        if method != "initialize" {
            header("MCP-Protocol-Version", self.era.version());
        }
        if let Some(session) = session {
            header("Mcp-Session-Id", session);
        }
        if let Some(bearer) = &self.bearer {
            header("Authorization", &format!("Bearer {bearer}"));
        }
        if self.era == Era::Modern {
            header("Mcp-Method", method);
            if let Some(name) = name {
                header("Mcp-Name", name);
            }
        }
        head.push_str("\r\n");
        head.push_str(body);
        head.into_bytes()
    }
}

/// The `params` of an `initialize`.
pub(crate) const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#
);
/// What ends the handshake.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
/// What every modern request carries.
const MODERN_META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}},"#
);

/// A call of the tool `echo` and the reply it must get. Ids and texts differ from call to call, lengths do not, so both
/// are written once and patched in place.
pub(crate) struct CallText {
    pub(crate) request: Vec<u8>,
    expected: Vec<u8>,
    request_ids: [usize; 2],
    expected_ids: [usize; 2],
}

impl CallText {
    /// The call that goes to `target` within `session`.
    pub(crate) fn new(target: &Target, session: Option<&str>) -> Self {
        let blank = "0".repeat(ID_DIGITS);
        let text = format!("{blank}{}", filler(ARGUMENTS_LENGTH - ID_DIGITS - r#"{"text":""}"#.len()));
        let meta = if target.era == Era::Modern { MODERN_META } else { "" };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{blank},"method":"tools/call","params":{{{meta}"name":"echo","arguments":{{"text":"{text}"}}}}}}"#
        );
        let expected = echo_reply(&blank, &format!("\"{text}\""), target.era == Era::Modern).into_bytes();
        let request = target.post(session, "tools/call", Some("echo"), &body);
        Self {
            request_ids: places(&request, blank.as_bytes()),
            expected_ids: places(&expected, blank.as_bytes()),
            request,
            expected,
        }
    }

    /// Makes this the call number `id`, which has [`ID_DIGITS`] digits.
    pub(crate) fn patch(&mut self, id: u64) {
        let digits = id.to_string();
        for (text, at) in [(&mut self.request, self.request_ids), (&mut self.expected, self.expected_ids)] {
            for start in at {
                if let Some(place) = text.get_mut(start..start + ID_DIGITS) {
                    place.copy_from_slice(digits.as_bytes());
                }
            }
        }
    }

    /// What a reply is worth.
    pub(crate) fn judge(&self, reply: &Reply<'_>) -> Verdict {
        if reply.status == 200 && reply.body == self.expected {
            return Verdict::Exact;
        }
        let same = serde_json::from_slice::<serde_json::Value>(reply.body).ok();
        if reply.status == 200 && same.is_some() && same == serde_json::from_slice(&self.expected).ok() {
            return Verdict::Reshaped;
        }
        let body = String::from_utf8_lossy(reply.body);
        Verdict::Wrong(format!("status {}, body {}", reply.status, body.chars().take(300).collect::<String>()))
    }
}

/// How a reply compares with what the tool said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Byte for byte.
    Exact,
    /// The same JSON value in other bytes.
    Reshaped,
    /// Something else; the beginning of it.
    Wrong(String),
}

/// The reply of the tool `echo`: the one text that server and client must agree on.
pub(crate) fn echo_reply(id: &str, text: &str, modern: bool) -> String {
    let kind = if modern { r#""resultType":"complete","# } else { "" };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{{kind}"content":[{{"type":"text","text":{text}}}],"isError":false}}}}"#
    )
}

/// Words rather than one letter, so that nothing that looks into the text has an unnaturally easy time.
pub(crate) fn filler(length: usize) -> String {
    let words = "the quarterly report lists open invoices by customer and region and names who approved each of them ";
    words.chars().cycle().take(length).collect()
}

fn places(text: &[u8], wanted: &[u8]) -> [usize; 2] {
    let mut found = text.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted).map(|(at, _)| at);
    let first = found.next().unwrap_or(usize::MAX);
    [first, found.find(|at| *at >= first + wanted.len()).unwrap_or(usize::MAX)]
}

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads the reply at the start of `bytes`. `None` while it is not complete; with it, how long it was.
    ///
    /// # Errors
    /// Something that is no HTTP/1.1 reply with a length.
    pub(crate) fn read(bytes: &'a [u8], body: &'a mut Vec<u8>) -> Fallible<Option<(Self, usize)>> {
        let Some(end) = bytes.windows(4).take(HEAD_MAX).position(|part| part == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_MAX { Err("the head of a reply does not end".into()) } else { Ok(None) };
        };
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let rest = bytes.get(end + 4..).unwrap_or_default();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or("no status line in a reply")?;
        if let Some(length) = header(head, "content-length") {
            let length: usize = length.parse()?;
            return Ok(rest.get(..length).map(|body| (Self { status, head, body }, end + 4 + length)));
        }
        if header(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            let Some(used) = join_chunks(rest, body)? else { return Ok(None) };
            return Ok(Some((Self { status, head, body }, end + 4 + used)));
        }
        match status {
            204 | 304 => Ok(Some((Self { status, head, body: &[] }, end + 4))),
            _ => Err("a reply without a length".into()),
        }
    }
}

/// The value of a header in `head`.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn join_chunks(bytes: &[u8], body: &mut Vec<u8>) -> Fallible<Option<usize>> {
    body.clear();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|part| part == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(rest.get(..line).unwrap_or_default())?;
        let length = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        let start = line + 2;
        let Some(chunk) = rest.get(start..start + length + 2) else { return Ok(None) };
        body.extend_from_slice(chunk.get(..length).unwrap_or_default());
        at += start + length + 2;
        if length == 0 {
            return Ok(Some(at));
        }
    }
}

/// Checks reading and judging on replies whose meaning is known.
///
/// # Errors
/// What was misread.
pub(crate) fn check() -> Result<(), String> {
    let target = Target { address: ([127, 0, 0, 1], 1).into(), path: "/mcp", bearer: None, era: Era::Legacy };
    let mut call = CallText::new(&target, None);
    call.patch(1_234_567_890_123_456);
    let text = std::str::from_utf8(&call.request).map_err(|error| error.to_string())?;
    let arguments = text.split_once(r#""arguments":"#).map(|(_, rest)| rest.len() - 2);
    if arguments != Some(ARGUMENTS_LENGTH) || text.matches("1234567890123456").count() != 2 {
        return Err(format!("wire: the call is not what it should be: {text}"));
    }
    let same = call.expected.clone();
    let spaced = String::from_utf8_lossy(&same).replacen("\"id\":", "\"id\": ", 1).into_bytes();
    let other = String::from_utf8_lossy(&same).replace("1234567890123456", "1234567890123457").into_bytes();
    for (body, verdict) in [(&same, Some(Verdict::Exact)), (&spaced, Some(Verdict::Reshaped)), (&other, None)] {
        let plain = [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
        let (one, two) = body.split_at(100);
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in [one, two, &[]] {
            chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            chunked.extend_from_slice(part);
            chunked.extend_from_slice(b"\r\n");
        }
        for bytes in [plain, chunked] {
            let mut store = Vec::new();
            let short = bytes.get(..bytes.len() - 1).unwrap_or_default();
            if !matches!(Reply::read(short, &mut store), Ok(None)) {
                return Err("wire: an incomplete reply was taken".into());
            }
            let Ok(Some((reply, used))) = Reply::read(&bytes, &mut store) else {
                return Err("wire: a complete reply was not read".into());
            };
            let told = call.judge(&reply);
            let fits = verdict.as_ref().map_or(matches!(told, Verdict::Wrong(_)), |verdict| *verdict == told);
            if !fits || used != bytes.len() {
                return Err(format!("wire: {told:?} is wrong, or {used} bytes"));
            }
        }
    }
    Ok(())
}
