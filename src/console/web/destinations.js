// Destinations: whether events arrive, how far behind each is, and what receivers rejected.

import { get } from "./api.js";
import { el, empty, section, show, table } from "./dom.js";
import { number, since, time, visible } from "./format.js";
import { state } from "./marks.js";

// Between two looks, milliseconds.
const EVERY = 5_000;

const LETTERS = [
  { name: "Time (UTC)", cell: (item) => time(item.time) }, { name: "Entry", numeric: true, cell: (item) => item.index },
  { name: "Event", cell: (item) => item.event_type }, { name: "The receiver said", grow: true, cell: (item) => visible(item.error) },
];

/** Draws the page. */
export async function destinations(page, { signal }) {
  const place = el("div");
  const letters = el("div");
  show(page, el("h1", null, "Destinations"), place, letters);
  const columns = [
    { name: "Destination", cell: (item) => item.name },
    { name: "State", cell: (item) => state(item.state, item.state === "healthy" ? "" : "bad") },
    { name: "Behind", numeric: true, cell: (item) => (item.lag ? `${number(item.lag)} entries` : "nothing") },
    { name: "Oldest", wide: true, numeric: true, cell: (item) => item.oldest && since(item.oldest) },
    { name: "Delivered", wide: true, numeric: true, cell: (item) => number(item.delivered) },
    { name: "Failures", wide: true, numeric: true, cell: (item) => number(item.failures) },
    { name: "Skipped", wide: true, numeric: true, cell: (item) => number(item.skipped) },
    { name: "Dead letters", numeric: true, cell: (item) => el("button", { type: "button", class: "plain", onclick: () => open(item.name) }, number(item.dead_letters), el("span", { class: "visually-hidden" }, ` dead letters of ${item.name}`)) },
    { name: "Problem", wide: true, grow: true, cell: (item) => item.problem && visible(item.problem) },
  ];
  const open = async (name) => {
    const { items, total } = await get(`/v1/destinations/${encodeURIComponent(name)}/dead-letters`, {}, signal);
    show(letters, section(`Dead letters of ${name}`,
      items.length ? table(`Dead letters of ${name}, the newest first`, LETTERS, items) : empty("The receiver rejected nothing."),
      el("p", { class: "hint" }, total > items.length ? `The newest ${items.length} of ${total}. ` : null, "Sent again by ", el("code", null, `countersign export deadletter ${name} --resend`), ".")));
  };
  const look = async () => {
    const { items } = await get("/v1/destinations", {}, signal);
    show(place, items.length ? table("Destinations", columns, items) : empty("No destination is configured: the log keeps everything. Add one under telemetry."),
      el("p", { class: "hint" }, "Counts are since the start. What is behind waits in the log and is not lost. Sent again by ", el("code", null, "countersign export replay NAME --from ENTRY"), "."));
  };
  await look();
  const again = async () => {
    if (signal.aborted) return;
    if (!document.hidden && !place.contains(document.activeElement)) await look().catch(() => {});
    setTimeout(again, EVERY);
  };
  setTimeout(again, EVERY);
}
