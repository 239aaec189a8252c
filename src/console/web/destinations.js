// Destinations: whether events arrive, how far behind each is, and what receivers rejected.

import { get, post } from "./api.js";
import { el, empty, repeat, section, show, table } from "./dom.js";
import { field } from "./entries.js";
import { number, since, time, visible } from "./format.js";
import { state } from "./marks.js";

// Between two looks, milliseconds.
const EVERY = 5_000;

const LETTERS = [
  { name: "Time (UTC)", cell: (item) => time(item.time) }, { name: "Entry", numeric: true, cell: (item) => item.index },
  { name: "Event", cell: (item) => item.event_type }, { name: "The receiver said", grow: true, cell: (item) => visible(item.error) },
];

/** Draws the page. */
export async function destinations(page, { me, signal }) {
  const place = el("div");
  const letters = el("div");
  const { items: configured } = await get("/v1/destinations", {}, signal);
  show(page, el("h1", null, "Destinations"), place, letters, me.role === "admin" && configured.length ? replay(configured) : null);
  const columns = [
    { name: "Destination", cell: (item) => item.name },
    { name: "State", cell: (item) => state(item.state, item.state === "healthy" ? "" : "bad") },
    { name: "Behind", numeric: true, cell: (item) => (item.lag ? `${number(item.lag)} entries` : "nothing") },
    { name: "Oldest", wide: true, numeric: true, cell: (item) => item.oldest && since(item.oldest) },
    { name: "Delivered", wide: true, numeric: true, cell: (item) => number(item.delivered) },
    { name: "Failures", wide: true, numeric: true, cell: (item) => number(item.failures) },
    { name: "Skipped", wide: true, numeric: true, cell: (item) => number(item.skipped) },
    { name: "Dead letters", numeric: true, cell: (item) => item.dead_letters === 0 ? 0 : el("button", { type: "button", class: "plain", onclick: () => open(item.name) }, number(item.dead_letters), el("span", { class: "visually-hidden" }, ` dead letters of ${item.name}`)) },
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
      el("p", { class: "hint" }, "Counts are since the start. What is behind waits in the log and is not lost."));
  };
  await look();
  repeat(look, EVERY, place, signal);
}

// Sends entries again, a thousand a request, until the range is done or the page is told to stop.
function replay(configured) {
  const name = el("select", { name: "name" }, configured.map((item) => el("option", null, item.name)));
  const bound = (label) => el("input", { name: label, type: "number", min: 0, step: 1, inputmode: "numeric" });
  const [from, to] = [bound("from"), bound("to")];
  from.required = true;
  const told = el("p", { role: "status" });
  const button = el("button", { type: "submit" }, "Send again");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    let [next, arrived, rejected] = [Number(from.value), 0, 0];
    try {
      while (next !== null) {
        const range = { from: next, ...(to.value !== "" && { to: Number(to.value) }) };
        const done = await post(`/v1/destinations/${encodeURIComponent(name.value)}/replay`, range);
        [next, arrived, rejected] = [done.next, arrived + done.arrived, rejected + done.rejected.length];
        show(told, `${number(arrived)} events arrived, ${number(rejected)} were rejected`, next === null ? "." : `; at entry ${next}`);
      }
    } catch (error) {
      show(told, el("span", { class: "problem" }, error.message));
    } finally {
      button.disabled = false;
    }
  };
  return section("Send again",
    el("form", { class: "filters", onsubmit: submit }, field("Destination", name), field("From entry", from), field("To entry (the newest without)", to), button), told,
    el("p", { class: "hint" }, "Events keep their ids, so that a receiver can tell repeats. The place of the destination in the log stays where it is."));
}
