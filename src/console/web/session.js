// One session: what was wanted, every action in order, where its values came from, how far it went from the intent.

import { get } from "./api.js";
import { append, el, facts, link, section, show } from "./dom.js";
import { fraction, pretty, time, visible } from "./format.js";
import { decision, ended, state } from "./marks.js";
import { plot } from "./plot.js";

/** Draws the page. */
export async function session(page, { signal }, id) {
  const path = `/v1/sessions/${encodeURIComponent(id)}`;
  const course = await get(path, {}, signal);
  const moments = course.items;
  let next = course.next;
  const place = el("div");
  const draw = () => show(place, picture(moments), timeline(moments), next ? more() : null);
  const more = () => el("button", { type: "button", onclick: async () => {
    const part = await get(path, { from: next }, signal);
    moments.push(...part.items);
    next = part.next;
    draw();
  } }, "Show more");
  const about = moments.find((moment) => moment.agent || moment.human) ?? {};
  const last = moments.findLast((moment) => moment.level);
  document.title = "Session - Countersign";
  show(page,
    el("p", { class: "trail" }, link("/sessions", "Sessions")),
    el("h1", null, "Session ", el("code", { class: "id" }, id)),
    facts([
      ["Intent", course.intent && [visible(course.intent.text), el("span", { class: "hint" }, ` ${course.intent.source}`)]],
      ["Agent", about.agent && visible(about.agent)], ["Human", about.human && visible(about.human)], ["Tenant", about.tenant],
      ["Data level", last?.level], ["Entries", course.total],
      ["Receipts", link(`/receipts?session=${encodeURIComponent(id)}`, "all of this session")],
    ]), place);
  draw();
}

function picture(moments) {
  const drawn = plot(moments.filter((moment) => moment.kind === "decision"));
  return drawn && section("Distance from the intent", drawn);
}

function timeline(moments) {
  const decisions = new Map();
  for (const moment of moments) {
    if (moment.kind === "decision" && moment.action_id && !decisions.has(moment.action_id)) decisions.set(moment.action_id, decisions.size + 1);
  }
  let level = null;
  const items = moments.map((moment) => {
    const raised = moment.level && moment.level !== level ? [level, moment.level] : null;
    level = moment.level ?? level;
    return item(moment, decisions, raised);
  });
  return section("Timeline", el("ol", { class: "timeline" }, items));
}

const KINDS = {
  approval: (moment) => ["Asked a person: ", link(`/approvals/${moment.request_id}`, moment.approval.toLowerCase())],
  close: () => "Closed",
  context: () => "Result looked at",
  deferral: (moment) => ["Deferral: ", moment.deferral ?? "waits"],
  drift: () => "Drift",
  outcome: (moment) => ["Outcome: ", ended(moment.status)],
  recovery: () => "Found without an outcome at the start",
};

function item(moment, decisions, raised) {
  const place = decisions.get(moment.action_id);
  const first = moment.kind === "decision";
  const what = first
    ? [`${place}. `, link(`/receipts/${moment.receipt_id}`, visible(`${moment.tool}.${moment.operation}`))]
    : [KINDS[moment.kind]?.(moment) ?? moment.kind, place ? el("span", { class: "hint" }, ` of ${place}`) : null];
  const line = (...parts) => el("span", { class: "more" }, ...parts);
  return append(el("li", { id: first && place ? `action-${place}` : null },
    el("span", null, time(moment.time)), el("span", null, first ? decision(moment.result, moment.enforced) : state(moment.kind)), el("span", { class: "act" }, what)), [
    first && moment.reason ? line(visible(moment.reason)) : null,
    first && moment.arguments ? line(el("code", null, visible(oneLine(moment.arguments)))) : null,
    moment.provenance.map((from) => line(provenance(from, decisions))),
    first && raised ? line(el("span", { class: "raised" }, raised[0] ? `Data level rose from ${raised[0]} to ${raised[1]}` : `Data level ${raised[1]}`)) : null,
    first ? numbers(moment.signals, line) : null,
    moment.facts ? line(found(moment.facts)) : null,
    moment.trigger ? line(`by ${moment.trigger.replaceAll("_", " ")}`) : null,
  ]);
}

function oneLine(text) {
  const characters = [...pretty(text).replace(/\s*\n\s*/g, " ")];
  return characters.length > 200 ? `${characters.slice(0, 200).join("")}…` : characters.join("");
}

function provenance({ pointer, origin, from_action: from, form }, decisions) {
  const place = decisions.get(from);
  const source = place ? el("a", { href: `#action-${place}` }, `result of ${place}`) : from ? link(`/receipts/${from}`, "an earlier action") : null;
  return [el("code", null, pointer), el("span", { class: "arrow" }, " ← "), origin.replaceAll("_", " "), source ? [", ", source] : null, form ? `, ${form}` : null];
}

function numbers(signals, line) {
  if (!signals || (signals.semantic_distance_ppm === null && signals.cumulative_drift_ppm === null)) return null;
  return line(`Distance ${fraction(signals.semantic_distance_ppm) ?? "unknown"}, drift ${fraction(signals.cumulative_drift_ppm) ?? "unknown"}`);
}

function found({ level, trust, instructions, values }) {
  return [`${trust.replaceAll("_", " ")} source`, level && `level ${level}`, values ? `${values} values` : null, instructions ? `${instructions} sentences that give orders` : null].filter(Boolean).join("; ");
}
