// One request: everything that an answer takes, on one page (AARM ), and the answer.

import { ApiError, get, post } from "./api.js";
import { announce, el, facts, link, section, show, table } from "./dom.js";
import { fraction, fullTime, pretty, time, until, visible } from "./format.js";
import { decision, risk, source, state } from "./marks.js";
import { shortId } from "./entries.js";

/** Draws the page. */
export async function approval(page, context, id) {
  const request = await get(`/v1/approvals/${encodeURIComponent(id)}`, {}, context.signal);
  const { action, decision: decided } = request;
  const escalated = request.source === "defer_escalation";
  document.title = `${request.tool}.${request.operation} - Countersign`;
  show(page,
    el("p", { class: "trail" }, link("/approvals", "Approvals")),
    el("div", { class: escalated ? "request escalated" : "request" },
      el("h1", null, visible(`${request.tool}.${request.operation}`)),
      el("p", { class: "standing" }, risk(request.risk_level), source(request.source), state(request.status),
        request.status === "pending" ? el("span", null, `${until(request.expires)} left`) : null),
      escalated ? el("p", { class: "note" }, "The policy could not decide, and nothing else could settle it. What is missing is below; without it, no is the safe answer.") : null,
      el("p", { class: "reason" }, visible(request.reason))),
    el("div", { class: "columns" },
      el("div", null, what(request, action), before(request.context)),
      el("div", null, answer(request, context), who(request), why(decided, request.receipt_id), around(request.context, decided))));
}

function what(request, action) {
  const text = request.arguments ?? action?.parameters?.text;
  const held = request.arguments !== null;
  return section("What will run",
    text ? el("pre", { class: "arguments", tabindex: "0", "aria-label": "Arguments" }, visible(pretty(text))) : el("p", null, "No arguments were kept."),
    el("p", { class: "hint" }, held ? "Exactly these arguments run, once. Other arguments need another answer." : "As recorded, without secrets: the arguments themselves are not held any more."),
    action && facts([
      ["Server", action.native?.server], ["Method", action.method],
      ["Goes to", action.destination && `${action.destination.name} (${action.destination.class})`],
      ["Tool definition", action.tool_pin ? el("span", null, "pinned ", shortId(action.tool_pin)) : "not pinned"],
    ]));
}

function claim(block) {
  return block && [visible(block.value), el("span", { class: "hint" }, ` ${block.verification.replaceAll("_", " ")}`)];
}

function who({ identity, agent, approvers, escalated_to: escalated, needed, yes }) {
  return section("Who asks",
    facts([
      ["Agent", claim(identity?.agent?.id) ?? agent], ["For", claim(identity?.human)], ["Service", claim(identity?.service)],
      ["Role", claim(identity?.role)], ["Owner", identity?.owner], ["Tenant", identity?.tenant], ["Problem", identity?.problem],
      ["Asked to answer", approvers.length ? approvers.join(", ") : "anybody who may approve"],
      ["Escalated to", escalated.join(", ")], ["Needed", needed > 1 ? `${needed} different people` : null], ["Yes from", yes.join(", ")],
    ]));
}

function why(decided, receipt) {
  if (!decided) return null;
  const columns = [
    { name: "Rule", cell: (rule) => `${rule.policy_id} / ${rule.rule_id}${rule.shadow ? " (shadow)" : ""}` },
    { name: "Says", cell: (rule) => decision(rule.action) },
  ];
  return section("Why",
    facts([
      ["Policy", [decided.policy.policy_id, decided.policy.rule_id].filter(Boolean).join(" / ")], ["Version", decided.policy.version],
      ["Class", decided.classification?.replaceAll("_", " ")], ["Confidence", fraction(decided.confidence_ppm)],
      ["Exception", decided.exception_id], ["Receipt", link(`/receipts/${receipt}`, shortId(receipt))],
    ]),
    decided.rules.length ? table("Rules that matched", columns, decided.rules) : null);
}

const SIGNALS = [
  ["scope_expansion", "outside the intent"], ["classification_escalation", "reads more sensitive data than before"],
  ["commanded_by_content", "a result told the agent to do this"], ["effect_ordered_by_content", "a result orders an effect of this kind"],
  ["privilege_escalation", "hands out access or runs code outside the intent"], ["credential_use", "handles credentials that the intent does not name"],
  ["goal_restatement", "a result claims to say what the task is"], ["instruction_like", "beside wording addressed to a machine"],
  ["unusual_sequence", "unusual after what came before"], ["velocity_anomaly", "faster than usual"], ["chain_length_exceeded", "longer chain than allowed"],
];

function around(context, decided) {
  if (!context) return null;
  const signals = decided?.signals ?? {};
  const seen = SIGNALS.filter(([name]) => signals[name]).map(([, words]) => words);
  return section("In this session",
    facts([
      ["Wanted", context.intent && [visible(context.intent.text), el("span", { class: "hint" }, ` ${context.intent.source}`)]],
      ["Data level", context.level?.value], ["Labels", context.labels.join(", ")],
      ["Distance", fraction(signals.semantic_distance_ppm)], ["Drift", fraction(signals.cumulative_drift_ppm)],
      ["Signs", seen.join("; ")],
    ]));
}

function before(context) {
  if (!context?.prior_actions?.length) return null;
  const columns = [
    { name: "Time (UTC)", cell: (prior) => time(prior.at) },
    { name: "Decision", cell: (prior) => decision(prior.result) },
    { name: "Action", cell: (prior) => link(`/receipts/${prior.action_id}`, visible(`${prior.tool}.${prior.operation}`)) },
    { name: "Level", wide: true, cell: (prior) => prior.level },
  ];
  const title = `Before this: ${context.action_count} ${context.action_count === 1 ? "action" : "actions"}`;
  const history = section(title, table("Earlier actions", columns, [...context.prior_actions].reverse()));
  history.className = "history";
  return history;
}

function answer(request, { me, redraw }) {
  if (request.status !== "pending") {
    return section("Answer", facts([["Status", request.status], ["By", request.answer?.by], ["Reason", request.answer && visible(request.answer.reason ?? "")], ["Asked", fullTime(request.requested)]]));
  }
  if (me.role === "viewer") return section("Answer", el("p", null, "Answering takes the role approver."));
  const reason = el("textarea", { id: "reason", rows: 2, maxlength: 1000 });
  const problem = el("p", { class: "problem", role: "alert" });
  const buttons = ["approve", "deny"].map((word) =>
    el("button", { type: "button", class: word, onclick: () => send(word) }, word === "approve" ? "Approve" : "Deny"));
  const send = async (word) => {
    const text = reason.value.trim();
    if (word === "deny" && !text) {
      show(problem, "Say why: the agent and the record get the reason.");
      reason.focus();
      return;
    }
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const { status } = await post(`/v1/approvals/${encodeURIComponent(request.id)}/${word}`, text ? { reason: text } : {});
      announce(`The request is ${status}`);
      await redraw();
      document.getElementById("page").focus({ preventScroll: true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      show(problem, error.message);
      buttons.forEach((button) => { button.disabled = false; });
    }
  };
  return section("Answer", el("label", { for: "reason" }, "Reason (needed to deny)"), reason, el("div", { class: "buttons" }, buttons), problem,
    el("p", { class: "hint" }, "Asked ", fullTime(request.requested), ". Silence is a no."));
}
