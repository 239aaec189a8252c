// Receipts: the log, searched. What is shown comes from the log itself, each line proven against its checkpoint.

import { get } from "./api.js";
import { el, empty, show, table } from "./dom.js";
import { ACTION, AGENT, DECISION, HUMAN, OUTCOME, REASON, TIME, behindNote, decisionChoice, field, pager } from "./entries.js";

const COLUMNS = [TIME, DECISION, ACTION, AGENT, HUMAN, REASON, OUTCOME];
const NAMES = ["session", "agent", "human", "tool", "decision", "since", "until"];

/** Draws the page; the address holds what is searched for. */
export async function receipts(page, { signal, go }) {
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => [...NAMES, "before"].includes(name)));
  const text = (name, attributes) => el("input", { name, value: given[name], autocomplete: "off", spellcheck: "false", ...attributes });
  const moment = (name) => el("input", { name, type: "datetime-local", step: 1, value: given[name]?.replace("Z", "") });
  const submit = (event) => {
    event.preventDefault();
    const values = [...new FormData(event.target)].filter(([, value]) => value.trim());
    const query = values.map(([name, value]) => [name, name === "since" || name === "until" ? utc(value) : value.trim()]);
    go(query.length ? `/receipts?${new URLSearchParams(query)}` : "/receipts");
  };
  const form = el("form", { class: "filters", onsubmit: submit },
    field("Tool", text("tool", { placeholder: "tool or tool.operation" })), field("Agent", text("agent")), field("Human", text("human")),
    field("Session", text("session", { placeholder: "sess_…" })), field("Decision", decisionChoice("decision", given.decision)),
    field("Since (UTC)", moment("since")), field("Until (UTC)", moment("until")), el("button", { type: "submit" }, "Search"));
  const id = el("input", { name: "id", placeholder: "rct_…, act_… or number", autocomplete: "off", spellcheck: "false" });
  const open = (event) => {
    event.preventDefault();
    if (id.value.trim()) go(`/receipts/${encodeURIComponent(id.value.trim())}`);
  };
  const place = el("div");
  show(page, el("h1", null, "Receipts"), form,
    el("form", { class: "filters", onsubmit: open }, field("Open by id", id), el("button", { type: "submit" }, "Open")), place);
  const { items, total, next, behind } = await get("/v1/receipts", given, signal);
  if (!items.length) return void show(place, behindNote(behind), empty("No receipt fits."));
  show(place, behindNote(behind), table("Receipts, the newest first", COLUMNS, items),
    pager("/receipts", given, { next, shown: items.length, total, what: total === 1 ? "receipt" : "receipts" }));
}

function utc(local) {
  const whole = local.length === 16 ? `${local}:00` : local;
  return `${whole}Z`;
}
