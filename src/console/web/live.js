// Live: actions as they are decided. Asks for what is new once a second; paused, it collects and does not draw.

import { get } from "./api.js";
import { el, empty, show, table, tableRow } from "./dom.js";
import { ACTION, AGENT, DECISION, HUMAN, OUTCOME, REASON, TIME, decisionChoice, field } from "./entries.js";
import { ended } from "./marks.js";

const COLUMNS = [TIME, DECISION, ACTION, AGENT, HUMAN, REASON, { ...OUTCOME, cell: outcome }];
// Between two questions, milliseconds.
const EVERY = 1_000;
// Actions that are kept, the newest.
const KEPT = 300;

function outcome(line) {
  const words = { PENDING: "waits for a person", APPROVED: "approved", DENIED: "denied by a person", TIMEOUT: "nobody answered" };
  if (line.status) return ended(line.status);
  const word = line.approval ? words[line.approval] ?? line.approval.toLowerCase() : line.deferral;
  return word ? el("span", { class: "state" }, word) : null;
}

/** Draws the page. */
export async function live(page, { signal }) {
  const state = { actions: new Map(), next: null, paused: false, missed: 0 };
  const words = el("input", { type: "search", name: "words", placeholder: "tool, agent, person, reason", autocomplete: "off" });
  const wanted = decisionChoice("decision");
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const note = el("p", { class: "hint", role: "status" });
  const place = el("div");
  const redraw = () => draw(place, note, state, words.value, wanted.value);
  pause.addEventListener("click", () => {
    state.paused = !state.paused;
    pause.setAttribute("aria-pressed", String(state.paused));
    show(pause, state.paused ? "Resume" : "Pause");
    redraw();
  });
  words.addEventListener("input", redraw);
  wanted.addEventListener("change", redraw);
  show(page, el("h1", null, "Live"),
    el("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, field("Filter", words), field("Decision", wanted), pause),
    note, place);
  await look(state, signal);
  redraw();
  const again = async () => {
    if (signal.aborted) return;
    try {
      if (!document.hidden && (await look(state, signal))) redraw();
      else if (state.failed) redraw();
      state.failed = null;
    } catch (error) {
      if (signal.aborted) return;
      state.failed = error.message;
      redraw();
      if (error.status === 401) return location.reload();
    }
    setTimeout(again, EVERY);
  };
  setTimeout(again, EVERY);
}

/** Asks for what is new. True when something is. */
async function look(state, signal) {
  const answer = await get("/v1/actions", { from: state.next }, signal);
  state.next = answer.next;
  state.missed += answer.skipped;
  for (const line of answer.items) {
    const key = line.action_id ?? line.receipt_id;
    const known = state.actions.get(key);
    // The decision names the action; what follows says what became of it.
    const given = Object.fromEntries(Object.entries(line).filter(([, value]) => value !== null));
    state.actions.set(key, known ? { ...known, ...given, time: known.time, receipt_id: known.receipt_id } : line);
  }
  for (const key of state.actions.keys()) {
    if (state.actions.size <= KEPT) break;
    state.actions.delete(key);
  }
  return answer.items.length > 0 && !state.paused;
}

function draw(place, note, state, words, wanted) {
  const needles = words.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (line) => {
    const text = [line.tool && `${line.tool}.${line.operation}`, line.agent, line.human, line.reason, line.rule_id].join(" ").toLowerCase();
    return (!wanted || line.result === wanted) && needles.every((needle) => text.includes(needle));
  };
  const lines = [...state.actions.values()].reverse().filter(fits);
  show(note, state.failed ? `Lost the connection: ${state.failed}` :
    [state.paused ? "Paused. " : "", `${lines.length} of the newest ${state.actions.size} actions`, state.missed ? `; ${state.missed} entries came too fast to show and are in Receipts` : ""]);
  if (!lines.length) {
    show(place, empty(state.actions.size ? "No action fits the filter." : "No action yet. Point an agent at this proxy and its calls appear here."));
    return;
  }
  const rows = place.querySelector("tbody");
  if (!rows) {
    show(place, table("Actions, the newest first", COLUMNS, lines));
    return;
  }
  // Rows that stay keep their place in the document, so that focus and selection survive.
  const kept = new Map([...rows.children].map((row) => [row.line, row]));
  const wantedRows = lines.map((line) => {
    const row = kept.get(line) ?? tableRow(COLUMNS, line);
    row.line = line;
    return row;
  });
  rows.replaceChildren(...wantedRows);
}
