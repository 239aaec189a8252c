// Policies: what is in force, what each rule did lately, and how the last reloads went.

import { get } from "./api.js";
import { el, empty, facts, link, section, show, table } from "./dom.js";
import { shortId } from "./entries.js";
import { fullTime, number, time, visible } from "./format.js";
import { decision, risk, state } from "./marks.js";

const POLICIES = [
  { name: "Policy", cell: (item) => item.policy_id }, { name: "Version", cell: (item) => item.version },
  { name: "Rules", numeric: true, cell: (item) => item.rules }, { name: "In shadow", numeric: true, cell: (item) => item.shadow_rules },
  { name: "Tests passed", numeric: true, cell: (item) => item.tests }, { name: "About", wide: true, grow: true, cell: (item) => item.description },
  { name: "Digest", wide: true, cell: (item) => shortId(item.hash) },
];
const RULES = [
  { name: "Rule", cell: (item) => el("span", { title: item.reason }, `${item.policy_id} / ${item.rule_id}`) },
  { name: "Says", cell: (item) => (item.action ? decision(item.action, !item.shadow) : el("span", { class: "state" }, "labels only")) },
  { name: "Class", wide: true, cell: (item) => item.classification.replaceAll("_", " ") },
  { name: "Priority", wide: true, numeric: true, cell: (item) => item.priority }, { name: "Severity", wide: true, cell: (item) => risk(item.severity) },
  { name: "About", wide: true, cell: (item) => (item.about_results ? "results" : "actions") },
  { name: "Matched", numeric: true, cell: (item) => number(item.matched) }, { name: "Decided", numeric: true, cell: (item) => number(item.decided) },
  { name: "Would differ", numeric: true, cell: (item) => (item.shadow ? number(item.would_differ) : null) },
];
const RELOADS = [
  { name: "Time (UTC)", cell: (item) => time(item.time) },
  { name: "What", cell: (item) => link(`/receipts/${item.receipt_id}`, state(item.loaded ? "in force" : "refused", item.loaded ? "" : "bad")) },
  { name: "Changes", grow: true, cell: changes }, { name: "Set", wide: true, cell: (item) => shortId(item.hash) },
];

function changes(item) {
  if (item.error) return visible(item.error);
  const parts = [["added", item.added], ["changed", item.changed], ["removed", item.removed]];
  return parts.filter(([, names]) => names.length).map(([word, names]) => `${word} ${names.join(", ")}`).join("; ") || "none";
}

/** Draws the page. */
export async function policies(page, { signal }) {
  const set = await get("/v1/policies", {}, signal);
  const { window: seen } = set;
  const last = set.reloads[0];
  show(page, el("h1", null, "Policies"),
    last && !last.loaded ? el("p", { class: "note", role: "alert" }, "The files have changed and do not load. The last good set stays in force: ", visible(last.error ?? "")) : null,
    facts([["Set in force", el("code", { class: "id" }, set.hash)], ["Refused reloads", set.failed_reloads ? `${set.failed_reloads} since the start` : "none since the start"]]),
    section("In force", set.policies.length ? table("Policies in force", POLICIES, set.policies) : empty("No policy is loaded.")),
    section(`Rules (${set.rules_total})`,
      el("p", { class: "hint" }, seen.decisions ? ["Counted over the newest ", number(seen.decisions), seen.decisions === 1 ? " decision" : " decisions", ", since ", fullTime(seen.from), "."] : "No decision yet to count.",
        seen.not_enforced ? ` ${number(seen.not_enforced)} were only recorded; ${number(seen.would_have_held)} of these would have been held.` : null),
      set.rules.length ? table("Rules", RULES, set.rules) : empty("No rule."),
      set.rules_total > set.rules.length ? el("p", { class: "hint" }, `The first ${set.rules.length} are shown.`) : null),
    section("Loads", table("The latest loads", RELOADS, set.reloads)));
}
