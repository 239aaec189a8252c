// Approvals: what waits for people, the riskiest first.

import { get } from "./api.js";
import { el, empty, link, repeat, show, table } from "./dom.js";
import { action, time, until, visible } from "./format.js";
import { risk, source, state } from "./marks.js";

const PART = 100;
// Between two looks, milliseconds.
const EVERY = 3_000;

const WAITING = [
  { name: "Risk", cell: (item) => risk(item.risk_level) },
  { name: "Action", cell: (item) => link(`/approvals/${item.id}`, action(item)) },
  { name: "Why", cell: (item) => source(item.source) },
  { name: "Reason", wide: true, grow: true, cell: (item) => visible(item.reason) },
  { name: "Agent", wide: true, cell: (item) => item.agent && visible(item.agent) },
  { name: "Yes", wide: true, numeric: true, cell: (item) => `${item.yes.length} of ${item.needed}` },
  { name: "Left", numeric: true, cell: (item) => until(item.expires) },
];
const SETTLED = [
  { name: "Asked (UTC)", cell: (item) => time(item.requested) },
  { name: "Status", cell: (item) => state(item.status, item.status === "denied" ? "bad" : "") },
  { name: "Action", cell: (item) => link(`/approvals/${item.id}`, action(item)) },
  { name: "Risk", wide: true, cell: (item) => risk(item.risk_level) },
  { name: "Reason", wide: true, grow: true, cell: (item) => visible(item.reason) },
];

/** Draws the page. */
export async function approvals(page, { signal }) {
  const query = new URLSearchParams(location.search);
  const all = query.get("show") === "all";
  const offset = Number(query.get("offset")) || 0;
  const place = el("div");
  const tab = (path, name, here) => el("a", { href: path, "aria-current": here ? "true" : null }, name);
  show(page, el("h1", null, "Approvals"),
    el("nav", { class: "tabs", "aria-label": "Which requests" }, tab("/approvals", "Waiting", !all), tab("/approvals?show=all", "All", all)), place);
  let before = null;
  const look = async () => {
    const listed = await get("/v1/approvals", { status: all ? "all" : "pending", limit: PART, offset }, signal);
    const now = JSON.stringify([listed, Math.floor(Date.now() / 30_000)]);
    if (now !== before) draw(place, listed, all, offset);
    before = now;
  };
  await look();
  repeat(look, EVERY, place, signal);
}

function draw(place, { items, total }, all, offset) {
  if (!total) {
    show(place, empty(all ? "Nobody was asked yet." : "Nothing waits for a person."));
    return;
  }
  const columns = all ? SETTLED : WAITING;
  const attributes = (item) => (item.source === "defer_escalation" ? { class: "escalated" } : null);
  const address = (to) => `/approvals?${new URLSearchParams({ ...(all && { show: "all" }), offset: to })}`;
  const end = offset + items.length;
  show(place, table(all ? "All requests" : "Waiting requests, the riskiest first", columns, items, { attributes }),
    el("nav", { class: "pager", "aria-label": "Parts of the list" },
      el("span", null, total > items.length ? `${offset + 1} to ${end} of ${total}` : `${total} ${total === 1 ? "request" : "requests"}`),
      offset > 0 ? link(address(Math.max(0, offset - PART)), "Back") : null,
      end < total ? link(address(end), "More") : null));
}
