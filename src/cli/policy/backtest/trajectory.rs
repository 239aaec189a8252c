//! Recorded runs: one JSON object a line.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::problem::Problem;

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) suite: String,
    pub(super) kind: Kind,
    /// The text of the attack, if there was one.
    pub(super) attack: Option<String>,
    /// The user's request.
    pub(super) intent: String,
    pub(super) steps: Vec<Step>,
    /// Indexes, over all calls in order, of the calls without which the attack had failed.
    pub(super) necessary: Vec<usize>,
}

/// What a run is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The injected goal was achieved.
    Attack,
    /// The user's task was achieved.
    Benign,
    /// What an attack wants, asked for by the user.
    Control,
}

/// Calls that were made together, and what came back.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) calls: Vec<Called>,
    pub(super) results: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) tool: String,
    pub(super) arguments: Value,
}

/// Largest file, decompressed: a week of runs.
const BYTES_MAX: u64 = 4 << 30;

/// Reads a file of runs.
pub(super) fn read(path: &Path) -> Result<Vec<Run>, Problem> {
    let text = text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| Line { path, number: number + 1 }.read(line)).collect()
}

fn text(path: &Path) -> Result<String, Problem> {
    let failed = |source| Problem::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let mut text = String::new();
    let length = if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes.as_slice()).take(BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        bytes.as_slice().take(BYTES_MAX + 1).read_to_string(&mut text)
    };
    match length.map_err(failed)? as u64 {
        length if length > BYTES_MAX => Err(Problem::TooLarge { path: path.to_owned(), max: BYTES_MAX }),
        _ => Ok(text),
    }
}

/// One line of a file.
struct Line<'p> {
    path: &'p Path,
    number: usize,
}

impl Line<'_> {
    fn read(&self, line: &str) -> Result<Run, Problem> {
        let run: Value = serde_json::from_str(line)
            .map_err(|error| self.wrong("the line", error.to_string(), "write one JSON object in one line"))?;
        let steps = self.list(&run, "steps")?;
        let necessary = match run.get("necessary") {
            None | Some(Value::Null) => Vec::new(),
            Some(_) => self.list(&run, "necessary")?.iter().map(|index| self.index(index)).collect::<Result<_, _>>()?,
        };
        Ok(Run {
            id: self.text(&run, "id")?,
            suite: self.text(&run, "suite")?,
            kind: match self.text(&run, "kind")?.as_str() {
                "attack" => Kind::Attack,
                "benign" => Kind::Benign,
                "control" => Kind::Control,
                other => {
                    let what = format!("`{other}` is not known");
                    return Err(self.wrong("kind", what, "write attack, benign or control"));
                }
            },
            attack: run.get("attack").and_then(Value::as_str).map(str::to_owned),
            intent: self.text(&run, "intent")?,
            steps: steps.iter().map(|step| self.step(step)).collect::<Result<_, _>>()?,
            necessary,
        })
    }

    fn step(&self, step: &Value) -> Result<Step, Problem> {
        let call = |call: &Value| {
            let arguments = call.get("arguments").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            Ok::<Called, Problem>(Called { tool: self.text(call, "tool")?, arguments })
        };
        let result = |result: &Value| match result.get("content") {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Null) | None => Ok(String::new()),
            Some(other) => Ok(other.to_string()),
        };
        Ok(Step {
            calls: self.list(step, "calls")?.iter().map(call).collect::<Result<_, _>>()?,
            results: self.list(step, "results")?.iter().map(result).collect::<Result<_, Problem>>()?,
        })
    }

    fn text(&self, value: &Value, name: &str) -> Result<String, Problem> {
        let text = value.get(name).and_then(Value::as_str);
        let wrong = || self.wrong(name, "is not a text".into(), "see the manual's page on drift for the format");
        text.map(str::to_owned).ok_or_else(wrong)
    }

    fn list<'v>(&self, value: &'v Value, name: &str) -> Result<&'v Vec<Value>, Problem> {
        let list = value.get(name).and_then(Value::as_array);
        list.ok_or_else(|| self.wrong(name, "is not a list".into(), "see the manual's page on drift for the format"))
    }

    fn index(&self, value: &Value) -> Result<usize, Problem> {
        let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
        index.ok_or_else(|| self.wrong("necessary", format!("{value} is no index"), "write 0-based indexes of calls"))
    }

    fn wrong(&self, field: &str, what: String, remedy: &'static str) -> Problem {
        Problem::Line { path: self.path.to_owned(), line: self.number, field: field.to_owned(), what, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> String {
        Line { path: Path::new("runs.jsonl"), number: 7 }.read(line).unwrap_err().to_string()
    }

    #[test]
    fn says_where_a_line_is_wrong() {
        assert!(problem("{").starts_with("runs.jsonl:7: the line: "));
        let whole =
            r#"{"id":"a","suite":"s","kind":"benign","intent":"x","steps":[{"calls":[{"tool":"t"}],"results":[]}]}"#;
        assert!(Line { path: Path::new("x"), number: 1 }.read(whole).is_ok());
        for (from, to, expected) in [
            ("\"kind\":\"benign\"", "\"kind\":\"other\"", "runs.jsonl:7: kind: `other` is not known"),
            ("\"tool\"", "\"name\"", "runs.jsonl:7: tool: is not a text"),
            ("\"results\":[]", "\"results\":1", "runs.jsonl:7: results: is not a list"),
            ("\"id\":\"a\",", "", "runs.jsonl:7: id: is not a text"),
        ] {
            let found = problem(&whole.replace(from, to));
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
