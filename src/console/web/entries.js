// Columns that lists of entries share, and controls of lists.

import { el, link } from "./dom.js";
import { action, time, visible } from "./format.js";
import { decision, ended } from "./marks.js";

const text = (value) => (value ? visible(value) : null);

export const TIME = { name: "Time (UTC)", cell: (line) => time(line.time) };
export const DECISION = { name: "Decision", cell: (line) => decision(line.result, line.enforced) };
export const ACTION = { name: "Action", cell: (line) => link(`/receipts/${line.action_id ?? line.receipt_id}`, action(line)) };
export const AGENT = { name: "Agent", wide: true, cell: (line) => text(line.agent) };
export const HUMAN = { name: "Human", wide: true, cell: (line) => text(line.human) };
export const REASON = { name: "Reason", wide: true, grow: true, cell: (line) => text(line.reason) };
export const OUTCOME = { name: "Outcome", cell: (line) => ended(line.ended ?? line.status) };

/** Shortens an id to what tells it from its neighbours; the whole one is in the title. */
export function shortId(id) {
  if (!id) return null;
  return el("span", { class: "id", title: id }, id.length > 20 ? `…${id.slice(-8)}` : id);
}

/** A labelled field of a form of filters. */
export function field(label, control) {
  return el("label", { class: "field" }, el("span", null, label), control);
}

/** A choice of decisions. */
export function decisionChoice(name, selected) {
  const option = (value, word) => el("option", { value, selected: value === (selected ?? "") }, word);
  return el("select", { name }, option("", "all"),
    option("ALLOW", "Allow"), option("DENY", "Deny"), option("MODIFY", "Modify"), option("STEP_UP", "Step up"), option("DEFER", "Defer"));
}

/** What a list lacks while the index is catching up with the log; nothing when it has. */
export function behindNote(behind) {
  if (!behind) return null;
  const entries = behind === 1 ? "The newest entry is" : `The newest ${behind.toLocaleString("en")} entries are`;
  return el("p", { class: "note", role: "status" }, `${entries} not indexed yet and missing here. Live shows them.`);
}

/** Links to the first part of a listing and to the next. */
export function pager(path, query, { next, shown, total, what }) {
  const address = (before) => {
    const given = Object.entries({ ...query, before }).filter(([, value]) => value);
    const text = new URLSearchParams(given).toString();
    return text ? `${path}?${text}` : path;
  };
  return el("nav", { class: "pager", "aria-label": "Parts of the list" },
    el("span", null, shown === total ? `${total} ${what}` : `${shown} of ${total} ${what}`),
    query.before ? link(address(null), "Newest") : null,
    next ? link(address(next), "Older") : null);
}
