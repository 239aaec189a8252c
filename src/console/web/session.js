// One session: what was wanted, every action in order, where its values came from, how far it went from the intent.

import { get } from "./api.js";
import { append, el, facts, link, section, show } from "./dom.js";
import { behindNote } from "./entries.js";
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
    ]), behindNote(course.behind), place);
  draw();
  // The plot has one shape for wide screens and one for narrow.
  matchMedia("(max-width: 719px)").addEventListener("change", draw, { signal });
}

function picture(moments) {
  const drawn = plot(moments.filter((moment) => moment.kind === "decision"));
  return drawn && section("Distance from the intent", drawn);
}

// One item an action: its decision, and below it what followed, each with its own time. What belongs to no action
// stands by itself.
function timeline(moments) {
  const groups = new Map();
  for (const moment of moments) {
    const key = moment.action_id ?? moment.receipt_id;
    groups.set(key, [...(groups.get(key) ?? []), moment]);
  }
  const places = new Map();
  for (const [key, [first]] of groups) {
    if (first.action_id) places.set(key, places.size + 1);
  }
  let level = null;
  const items = [...groups].map(([key, group]) => {
    const known = group.find((moment) => moment.level)?.level ?? level;
    const raised = known !== level ? [level, known] : null;
    level = known;
    return item(group, places, places.get(key), raised);
  });
  return section("Timeline", el("ol", { class: "timeline" }, items));
}

const KINDS = {
  approval: (moment) => ["Person asked: ", link(`/approvals/${moment.request_id}`, moment.approval.toLowerCase())],
  close: () => "Closed",
  context: (moment) => (moment.facts ? ["Result: ", found(moment.facts)] : "Session ended"),
  decision: (moment) => ["Decided again: ", decision(moment.result, moment.enforced)],
  deferral: (moment) => ["Deferral: ", moment.deferral ?? "waits"],
  drift: (moment) => `Drift, by ${moment.trigger?.replaceAll("_", " ") ?? "an unknown signal"}`,
  outcome: (moment) => ["Outcome: ", ended(moment.status)],
  recovery: () => "Found without an outcome at the start",
};

function said(moment) {
  return KINDS[moment.kind]?.(moment) ?? moment.kind.replaceAll("_", " ");
}

function item(group, places, place, raised) {
  const [first, ...rest] = group;
  const decided = first.kind === "decision";
  const line = (...parts) => el("span", { class: "more" }, ...parts);
  const what = decided ? [`${place}. `, link(`/receipts/${first.receipt_id}`, visible(`${first.tool}.${first.operation}`))] : said(first);
  const moved = (moment) => moment.time.slice(0, 19) !== first.time.slice(0, 19);
  const follows = rest.map((moment) => line(said(moment), moved(moment) ? el("span", { class: "hint" }, " ", time(moment.time)) : null));
  return append(el("li", { id: place ? `action-${place}` : null },
    el("span", null, time(first.time)), el("span", null, decided ? decision(first.result, first.enforced) : state(first.kind)), el("span", { class: "act" }, what)), [
    decided && first.reason ? line(visible(first.reason)) : null,
    decided && first.arguments ? line(el("code", null, visible(oneLine(first.arguments)))) : null,
    // Most text is the agent's own: that is told where it says where the effect goes.
    first.provenance.filter((from) => from.sink || from.origin !== "synthesised").map((from) => line(provenance(from, places))),
    raised ? line(el("span", { class: "raised" }, raised[0] ? `Data level rose from ${raised[0]} to ${raised[1]}` : `Data level ${raised[1]}`)) : null,
    decided ? numbers(first.signals, line) : null,
    follows,
  ]);
}

function oneLine(text) {
  const characters = [...pretty(text).replace(/\s*\n\s*/g, " ")];
  return characters.length > 200 ? `${characters.slice(0, 200).join("")}…` : characters.join("");
}

const ORIGINS = {
  intent: "the user's words",
  trusted: "a trusted source",
  resolved: "a record that the user named",
  own_write: "an earlier action",
  structured: "a field",
  named_source: "text of a source that the user named",
  synthesised: "nowhere: the agent made it up",
  prose: "running text that nobody vouches for",
};

function provenance({ pointer, origin, from_action: from, from_operation: operation }, places) {
  const place = places.get(from);
  const source = place ? el("a", { href: `#action-${place}` }, `result of ${place}`) : from ? link(`/receipts/${from}`, "an earlier result") : operation ? ["a result of ", visible(operation)] : null;
  const bad = origin === "prose";
  return [el("code", null, visible(pointer)), el("span", { class: "arrow" }, " \u2190 "), source ? [source, ", "] : null, el("span", { class: bad ? "state bad" : null }, ORIGINS[origin] ?? origin)];
}

function numbers(signals, line) {
  if (!signals || (signals.semantic_distance_ppm === null && signals.cumulative_drift_ppm === null)) return null;
  return line(`Distance ${fraction(signals.semantic_distance_ppm) ?? "unknown"}, drift ${fraction(signals.cumulative_drift_ppm) ?? "unknown"}`);
}

function found({ level, trust, instructions, values }) {
  const sources = { trusted: "trusted source", untrusted: "untrusted source", fields: "source trusted in its fields" };
  return [sources[trust] ?? trust, level && `level ${level}`, values ? `${values} values` : null, instructions ? `${instructions} sentences that give orders` : null].filter(Boolean).join("; ");
}
