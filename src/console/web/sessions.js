// Sessions: those that were used last first.

import { get } from "./api.js";
import { el, empty, link, show, table } from "./dom.js";
import { behindNote, field, pager, shortId } from "./entries.js";
import { fraction, time, visible } from "./format.js";

const NAMES = ["agent", "human"];
const COLUMNS = [
  { name: "Last (UTC)", cell: (item) => time(item.last) },
  { name: "Session", cell: (item) => link(`/sessions/${item.id}`, shortId(item.id)) },
  { name: "Agent", cell: (item) => item.agent && visible(item.agent) },
  { name: "Human", wide: true, cell: (item) => item.human && visible(item.human) },
  { name: "Intent", wide: true, grow: true, cell: (item) => item.intent && visible(shortened(item.intent.text)) },
  { name: "Actions", numeric: true, cell: (item) => item.decisions },
  { name: "Held", numeric: true, cell: (item) => item.held },
  { name: "Level", wide: true, cell: (item) => item.level },
  { name: "Drift", wide: true, numeric: true, cell: (item) => fraction(item.signals?.cumulative_drift_ppm) },
];

function shortened(text) {
  const characters = [...text];
  return characters.length > 120 ? `${characters.slice(0, 120).join("")}…` : text;
}

/** Draws the page; the address holds what is searched for. */
export async function sessions(page, { signal, go }) {
  const given = Object.fromEntries([...new URLSearchParams(location.search)].filter(([name]) => [...NAMES, "before"].includes(name)));
  const submit = (event) => {
    event.preventDefault();
    const query = [...new FormData(event.target)].filter(([, value]) => value.trim());
    go(query.length ? `/sessions?${new URLSearchParams(query)}` : "/sessions");
  };
  const text = (name) => el("input", { name, value: given[name], autocomplete: "off", spellcheck: "false" });
  const place = el("div");
  show(page, el("h1", null, "Sessions"),
    el("form", { class: "filters", onsubmit: submit }, field("Agent", text("agent")), field("Human", text("human")), el("button", { type: "submit" }, "Search")), place);
  const { items, total, next, behind } = await get("/v1/sessions", given, signal);
  if (!items.length) return void show(place, behindNote(behind), empty("No session fits."));
  show(place, behindNote(behind), table("Sessions, the one that was used last first", COLUMNS, items),
    pager("/sessions", given, { next, shown: items.length, total, what: total === 1 ? "session" : "sessions" }));
}
