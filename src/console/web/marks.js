// Marks: a shape and a word for each of the five decisions. Nobody has to tell colours apart.

import { el, svg } from "./dom.js";

const SHAPES = {
  ALLOW: () => svg("circle", { cx: 6, cy: 6, r: 4.5 }),
  DENY: () => svg("path", { d: "M2 2 L10 10 M10 2 L2 10", class: "line" }),
  MODIFY: () => svg("path", { d: "M6 0.8 L11.2 6 L6 11.2 L0.8 6 Z" }),
  STEP_UP: () => svg("path", { d: "M6 1.2 L11.2 10.6 L0.8 10.6 Z" }),
  DEFER: () => svg("path", { d: "M2 1.5 H5 V10.5 H2 Z M7 1.5 H10 V10.5 H7 Z" }),
};

const WORDS = { ALLOW: "Allow", DENY: "Deny", MODIFY: "Modify", STEP_UP: "Step up", DEFER: "Defer" };

/** The mark of a decision; `enforced` is false where it was only recorded. */
export function decision(result, enforced = true) {
  if (!result) return null;
  const shape = SHAPES[result];
  const picture = shape && svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" }, shape());
  const shadow = enforced === false && el("span", { class: "shadow" }, "shadow");
  return el("span", { class: `mark ${result.toLowerCase().replace("_", "-")}` }, picture, WORDS[result] ?? result, shadow);
}

/** How much is at stake: bars and a word. */
export function risk(level) {
  if (!level) return null;
  const height = { INFO: 1, LOW: 1, MEDIUM: 2, HIGH: 3, CRITICAL: 4 }[level] ?? 0;
  const bar = (place) => svg("rect", { x: place * 4, y: 9 - place * 3, width: 3, height: 3 + place * 3, class: place < height ? "on" : "off" });
  const bars = svg("svg", { viewBox: "0 0 15 12", width: 15, height: 12, "aria-hidden": "true" }, [0, 1, 2, 3].map(bar));
  return el("span", { class: `risk ${level.toLowerCase()}` }, bars, level[0] + level.slice(1).toLowerCase());
}

const ENDS = {
  success: "done",
  tool_error: "tool error",
  upstream_error: "not reached",
  protocol_error: "protocol error",
  input_required: "asks back",
  cancelled: "cancelled",
  unknown: "unknown",
};

/** What became of an action. */
export function ended(status) {
  if (!status) return null;
  const bad = status !== "success" && status !== "input_required";
  return el("span", { class: bad ? "state bad" : "state" }, ENDS[status] ?? status);
}

/** The state of anything, in a word. */
export function state(word, kind = "") {
  return el("span", { class: `state ${kind}` }, word.replaceAll("_", " "));
}

/** Where a request to people came from. A deferral that nobody could settle looks different from a question. */
export function source(word) {
  const escalated = word === "defer_escalation";
  return el("span", { class: escalated ? "source escalated" : "source" }, escalated ? "Undecided" : "Asks a person");
}
