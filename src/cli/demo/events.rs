//! The file that stands for the SIEM: what the proxy exported before it was killed.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::failure::Failure;

/// How long the events of the last call may take to get there.
const WAIT: Duration = Duration::from_secs(10);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Waits until `actions` actions have arrived as events, and gives all events.
///
/// # Errors
/// [`Failure::Events`] when they do not arrive; [`Failure::File`] when the file cannot be read.
pub(super) async fn arrive(file: &Path, actions: usize) -> Result<Vec<Value>, Failure> {
    let waiting = tokio::time::timeout(WAIT, async {
        let mut every = tokio::time::interval(EVERY);
        loop {
            every.tick().await;
            let events = read(file)?;
            if events.iter().filter(|event| is_tool_call(event)).count() >= actions {
                return Ok(events);
            }
        }
    });
    waiting.await.unwrap_or_else(|_| Err(Failure::Events(WAIT.as_secs())))
}

/// The entries that the events speak of: place in the log and leaf hash, each once.
pub(super) fn entries(events: &[Value]) -> Vec<(u64, String)> {
    let entry = |event: &Value| {
        let index = event.pointer("/receipt/index")?.as_u64()?;
        Some((index, event.pointer("/receipt/leaf_hash")?.as_str()?.to_owned()))
    };
    let mut entries: Vec<_> = events.iter().filter_map(entry).collect();
    entries.sort();
    entries.dedup();
    entries
}

/// The decision event of the entry at `index`; null when there is none.
pub(super) fn decision(events: &[Value], index: u64) -> Value {
    let of_entry = |event: &&Value| event.pointer("/receipt/index").and_then(Value::as_u64) == Some(index);
    let found = events.iter().filter(of_entry).find(|event| text(event, "/event_type") == "aarm.decision");
    found.cloned().unwrap_or_default()
}

/// The OCSF finding about the entry at `index`; null when there is none. The proxy has stopped, and what is durable has
/// left before that.
pub(super) fn ocsf_finding(file: &Path, index: u64) -> Result<Value, Failure> {
    let of_entry = |event: &Value| event.pointer("/metadata/sequence").and_then(Value::as_u64) == Some(index);
    let is_finding = |event: &Value| event.get("class_uid").and_then(Value::as_u64) == Some(2004);
    let mut events = read(file)?.into_iter();
    Ok(events.find(|event| of_entry(event) && is_finding(event)).unwrap_or_default())
}

/// The line of CEF about the decision of the entry at `index`; empty when there is none.
pub(super) fn cef_decision(file: &Path, index: u64) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).map_err(|source| Failure::file("read", file, source))?;
    let of_entry = |line: &&str| line.contains(&format!(" cn2={index} ")) && line.contains("|aarm.decision:");
    Ok(text.lines().find(of_entry).unwrap_or_default().to_owned())
}

/// Complete lines only: the last may be on its way.
fn read(file: &Path) -> Result<Vec<Value>, Failure> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| Failure::file("read", file, source))?,
    };
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    Ok(whole.filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn is_tool_call(event: &Value) -> bool {
    text(event, "/event_type") == "aarm.action" && text(event, "/action/method") == "tools/call"
}

fn text<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_entry_counts_once_and_half_a_line_not_at_all() {
        let place = super::super::workplace::Workplace::new(None).unwrap();
        let file = place.path("events.jsonl");
        assert_eq!(read(&file).unwrap(), Vec::<Value>::new());
        let receipt = |index| json!({"index": index, "leaf_hash": "sha256:aa"});
        let action = json!({"event_type": "aarm.action", "action": {"method": "tools/call"}, "receipt": receipt(2)});
        let decision = json!({"event_type": "aarm.decision", "receipt": receipt(2)});
        let system = json!({"event_type": "aarm.system", "receipt": receipt(0)});
        place.write(&file, format!("{system}\n{decision}\n{action}\n{{\"event_ty")).unwrap();
        let events = read(&file).unwrap();
        assert_eq!(events.iter().filter(|event| is_tool_call(event)).count(), 1);
        assert_eq!(entries(&events), [(0, "sha256:aa".to_owned()), (2, "sha256:aa".to_owned())]);
        assert_eq!(super::decision(&events, 2), decision);
        assert_eq!(super::decision(&events, 0), Value::Null);
        let finding = json!({"class_uid": 2004, "metadata": {"sequence": 2}});
        let action = json!({"class_uid": 6003, "metadata": {"sequence": 2}});
        let file = place.path("events.ocsf.jsonl");
        place.write(&file, format!("{action}\n{finding}\n")).unwrap();
        assert_eq!(ocsf_finding(&file, 2).unwrap(), finding);
        assert_eq!(ocsf_finding(&file, 3).unwrap(), Value::Null);
        let line = "CEF:0|a|b|1|aarm.decision:DENY|c|7|act=DENY cn2=2 cn2Label=log_index";
        let file = place.path("events.cef");
        place.write(&file, format!("CEF:0|a|b|1|aarm.action:DENY|c|7|cn2=2 cn2Label=log_index\n{line}\n")).unwrap();
        assert_eq!((cef_decision(&file, 2).unwrap().as_str(), cef_decision(&file, 3).unwrap().as_str()), (line, ""));
    }
}
