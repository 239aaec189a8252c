// One receipt: who did what, what was decided, what became of it, and its proof, made again in this browser on request.

import { get } from "./api.js";
import { el, facts, link, section, show, table } from "./dom.js";
import { fraction, fullTime, pretty, visible } from "./format.js";
import { decision, ended, risk } from "./marks.js";
import { shortId } from "./entries.js";
import { verify } from "./verify.js";

/** Draws the page. */
export async function receipt(page, { signal }, id) {
  const found = await get(`/v1/receipts/${encodeURIComponent(id)}`, {}, signal);
  const { action, decision: decided } = found;
  const title = action ? `${action.tool}.${action.operation}` : found.kind;
  document.title = `${title} - Countersign`;
  const other = action ? null : found[found.kind];
  show(page,
    el("p", { class: "trail" }, link("/receipts", "Receipts")),
    el("h1", null, visible(title)),
    el("p", { class: "standing" }, decision(decided?.result, decided?.enforced), decided && risk(decided.severity), ended(found.execution?.status),
      el("code", { class: "id" }, found.receipt_id)),
    decided && el("p", { class: "reason" }, visible(decided.reason)),
    el("div", { class: "columns" },
      el("div", null, what(action), other && section("Says", el("pre", { tabindex: "0" }, visible(JSON.stringify(other, null, 2)))), proof(found)),
      el("div", null, why(decided), who(found.identity), people(found), outcome(found.execution), around(found))));
}

function what(action) {
  if (!action) return null;
  const changed = action.forwarded_parameters?.text;
  const block = (label, text) => [el("h3", null, label), el("pre", { class: "arguments", tabindex: "0", "aria-label": label }, visible(pretty(text)))];
  return section("Action",
    action.parameters.text ? block(changed ? "Asked" : "Arguments", action.parameters.text) : el("p", { class: "hint" }, `Arguments: ${action.parameters.mode.replaceAll("_", " ")}`),
    changed ? block("Forwarded", changed) : null,
    facts([
      ["Server", action.native?.server], ["Method", action.method], ["Received", fullTime(action.received)],
      ["Goes to", action.destination && `${action.destination.name} (${action.destination.class})`],
      ["Client", action.client && [action.client.name, action.client.version].filter(Boolean).join(" ")],
      ["Action id", el("code", { class: "id" }, action.action_id)],
    ]));
}

function why(decided) {
  if (!decided) return null;
  const columns = [
    { name: "Rule", cell: (rule) => `${rule.policy_id} / ${rule.rule_id}${rule.shadow ? " (shadow)" : ""}` },
    { name: "Says", cell: (rule) => decision(rule.action) },
  ];
  return section("Decision",
    facts([
      ["Policy", [decided.policy.policy_id, decided.policy.rule_id].filter(Boolean).join(" / ")], ["Version", decided.policy.version],
      ["Class", decided.classification?.replaceAll("_", " ")], ["Mode", decided.mode], ["Exception", decided.exception_id],
      ["Confidence", fraction(decided.confidence_ppm)], ["Policy set", shortId(decided.policy_set)],
    ]),
    decided.rules?.length ? table("Rules that matched", columns, decided.rules) : null);
}

function claim(block) {
  return block && [visible(block.value), el("span", { class: "hint" }, ` ${block.verification.replaceAll("_", " ")}`)];
}

function who(identity) {
  return identity && section("Identity", facts([
    ["Agent", claim(identity.agent?.id)], ["Human", claim(identity.human)], ["Service", claim(identity.service)], ["Role", claim(identity.role)],
    ["Owner", identity.owner], ["Tenant", identity.tenant], ["Scope", identity.scope?.join(" ")], ["Problem", identity.problem],
  ]));
}

function people({ approval, deferral }) {
  return [
    approval && section("Approval", facts([
      ["Status", approval.status.toLowerCase()], ["By", approval.approver], ["Through", approval.channel], ["Reason", approval.reason && visible(approval.reason)],
      ["Asked", fullTime(approval.requested)], ["Answered", fullTime(approval.decided)], ["Request", link(`/approvals/${approval.request_id}`, shortId(approval.request_id))],
    ])),
    deferral && section("Deferral", facts([
      ["Ended", deferral.result], ["How", deferral.method], ["Reason", deferral.reason && visible(deferral.reason)], ["Trigger", deferral.trigger], ["Attempts", deferral.attempts],
    ])),
  ];
}

function outcome(execution) {
  return execution && section("Outcome", facts([
    ["Status", ended(execution.status)], ["Upstream", execution.upstream?.host ? `${execution.upstream.host}:${execution.upstream.port}` : execution.upstream?.command],
    ["Took", execution.duration_us === null ? null : `${(execution.duration_us / 1000).toFixed(1)} ms`], ["HTTP", execution.http_status],
    ["Answer", execution.result?.bytes === null ? null : `${execution.result?.bytes} bytes`], ["Answer digest", shortId(execution.output_hash)],
    ["Error", execution.error && visible(execution.error)], ["As decided", execution.agreement],
  ]));
}

function around({ context, decision: decided, proof: { entries } }) {
  const session = entries.find((entry) => entry.session)?.session?.id;
  return session && section("Session", facts([
    ["Session", link(`/sessions/${session}`, shortId(session))], ["Wanted", context?.intent && visible(context.intent.text)], ["Data level", context?.level?.value],
    ["Actions before", context?.action_count], ["Distance", fraction(decided?.signals?.semantic_distance_ppm)], ["Drift", fraction(decided?.signals?.cumulative_drift_ppm)],
  ]));
}

function proof(found) {
  const columns = [
    { name: "Entry", numeric: true, cell: (entry) => entry.index }, { name: "Kind", cell: (entry) => entry.kind },
    { name: "Leaf hash", wide: true, cell: (entry) => shortId(entry.leaf_hash) }, { name: "In the tree", cell: (entry) => (entry.inclusion ? "yes" : "not yet") },
  ];
  const results = el("div", { id: "verification", role: "status" });
  const button = el("button", { type: "button", class: "primary" }, "Verify");
  button.addEventListener("click", async () => {
    button.disabled = true;
    show(results, el("p", null, "Computing…"));
    show(results, ...verdict(await verify(found)));
    button.disabled = false;
  });
  return section("Proof", table("Entries", columns, found.proof.entries), el("p", { class: "buttons" }, button), results,
    el("p", { class: "hint" }, "Log ", el("code", null, found.proof.origin), found.proof.checkpoint ? `, checkpoint of ${found.proof.checkpoint.size} entries.` : ", no checkpoint yet.",
      " For a proof that does not trust this page: ", el("code", null, `countersign receipts prove ${found.receipt_id} --out DIR`)));
}

function verdict({ steps, rootKeyId }) {
  const failed = steps.filter((step) => !step.holds);
  const item = (step) => el("li", { class: step.holds ? "holds" : "fails" }, el("strong", null, step.holds ? "Holds: " : "FAILS: "), step.says, step.problem ? ` (${step.problem})` : null);
  return [
    el("p", { class: failed.length ? "verdict fails" : "verdict holds" }, failed.length ? `${failed.length} of ${steps.length} checks fail` : `All ${steps.length} checks hold`),
    el("ul", { class: "checks" }, steps.map(item)),
    el("p", { class: "hint" }, "Computed in this browser from the signed texts. Open: whether the root key is yours. Compare ", el("code", { class: "id" }, rootKeyId ?? ""), " with the value that you keep elsewhere."),
  ];
}
