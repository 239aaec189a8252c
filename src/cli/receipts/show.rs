//! `receipts show`: everything the log says about one action.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::EXIT_FAILED;
use super::super::line::printable;
use super::table::Table;
use super::{Place, Refused, entries_of, print_json};
use crate::record::receipt::joined;

/// Characters of a text that are shown; `--json` shows all.
const TEXT_MAX: usize = 400;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// A receipt (rct_...), an action (act_...) or the number of an entry.
    id: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let (mut archive, mut index) = arguments.place.open(false)?;
    let hits = entries_of(&mut archive, &mut index, &arguments.id)?;
    let receipt = joined(&mut archive, &hits)?;
    if arguments.place.json {
        print_json(&receipt);
    } else {
        print!("{}", render(&receipt));
    }
    let holds = entries(&receipt).iter().all(|entry| at(entry, "/signature") == "holds");
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn render(receipt: &Value) -> String {
    let mut lines = Lines { receipt, out: String::new() };
    lines.add("receipt", &["/receipt_id", "/kind"], "  ");
    lines.add("when", &["/proof/entries/0/time"], "");
    lines.add("session", &["/proof/entries/0/session/id"], "");
    lines.add("action", &["/action/tool", "/action/operation"], ".");
    lines.add("", &["/action_id", "/action/method", "/action/native/server"], "  ");
    lines.add("arguments", &["/action/parameters/text"], "");
    lines.add("forwarded", &["/action/forwarded_parameters/text"], "");
    for (label, part) in [("agent", "agent/id"), ("human", "human"), ("service", "service"), ("role", "role")] {
        lines.add_claim(label, &format!("/identity/{part}"));
    }
    lines.add("owner", &["/identity/owner", "/identity/team", "/identity/tenant"], ", ");
    lines.add("problem", &["/identity/problem"], "");
    lines.add("intent", &["/context/intent/text"], "");
    lines.add("level", &["/context/level/value"], "");
    if let Some(before) = at(receipt, "/context/action_count").as_u64() {
        lines.put("history", &format!("{before} actions of the session before this one"));
    }
    let shadow = at(receipt, "/decision/enforced") == false;
    lines.add(if shadow { "decision*" } else { "decision" }, &["/decision/result", "/decision/classification"], "  ");
    lines.add("reason", &["/decision/reason"], "");
    lines.add("policy", &["/decision/policy/policy_id", "/decision/policy/rule_id"], " / ");
    lines.add("approval", &["/approval/status", "/approval/approver", "/approval/reason"], "  ");
    lines.add("deferral", &["/deferral/result", "/deferral/method", "/deferral/reason"], "  ");
    lines.add("outcome", &["/execution/status", "/execution/error"], "  ");
    lines.add("", &["/execution/upstream/host", "/execution/upstream/port"], ":");
    lines.add("duration", &["/execution/duration_us"], "");
    if let Some(kind) = at(receipt, "/kind").as_str().filter(|_| at(receipt, "/action_id").is_null()) {
        lines.put("says", &receipt.get(kind).unwrap_or(&Value::Null).to_string());
    }
    let mut out = lines.out;
    if shadow {
        out.push_str("           * recorded only: forwarded whatever was decided (shadow)\n");
    }
    out + &proof(receipt)
}

fn proof(receipt: &Value) -> String {
    let mut table = Table::new(&["ENTRY", "KIND", "RECEIPT", "SIGNATURE", "IN THE TREE", "LEAF HASH"]);
    for entry in entries(receipt) {
        let text = |pointer: &str| at(entry, pointer).as_str().unwrap_or_default();
        let in_tree = if at(entry, "/inclusion").is_null() { "not yet" } else { "proven" };
        let index = at(entry, "/index").to_string();
        table.row([&index, text("/kind"), text("/receipt_id"), text("/signature"), in_tree, text("/leaf_hash")]);
    }
    let origin = at(receipt, "/proof/origin").as_str().unwrap_or_default();
    let checkpoint = match at(receipt, "/proof/checkpoint/size").as_u64() {
        Some(size) => format!("checkpoint of {size} entries"),
        None => "no checkpoint yet".to_owned(),
    };
    format!("\nlog        {origin}, {checkpoint}\n{}", table.render(""))
}

fn entries(receipt: &Value) -> &[Value] {
    at(receipt, "/proof/entries").as_array().map_or(&[], Vec::as_slice)
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

struct Lines<'a> {
    receipt: &'a Value,
    out: String,
}

impl Lines<'_> {
    /// One line of what stands at these places; none when nothing does.
    fn add(&mut self, label: &str, pointers: &[&str], between: &str) {
        let texts: Vec<String> = pointers.iter().filter_map(|pointer| text(self.receipt.pointer(pointer)?)).collect();
        if !texts.is_empty() {
            let unit = if label == "duration" { " us" } else { "" };
            self.put(label, &format!("{}{unit}", texts.join(between)));
        }
    }

    fn add_claim(&mut self, label: &str, pointer: &str) {
        let part = |name| self.receipt.pointer(&format!("{pointer}/{name}")).and_then(text);
        if let (Some(value), Some(verification)) = (part("value"), part("verification")) {
            self.put(label, &format!("{value} ({verification})"));
        }
    }

    fn put(&mut self, label: &str, value: &str) {
        let shown: String = value.chars().take(TEXT_MAX).collect();
        let cut = if shown.len() < value.len() { "… (--json shows all)" } else { "" };
        // In pieces, because what is shown of a text for a terminal is short.
        let pieces: Vec<char> = shown.chars().collect();
        let shown: String = pieces.chunks(80).map(|piece| printable(&piece.iter().collect::<String>())).collect();
        self.out.push_str(&format!("{label:<9}  {shown}{cut}\n"));
    }
}

/// A value for people; `None` when there is none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}
