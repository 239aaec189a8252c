// Distance and drift over the actions of a session, and the data level as a staircase. Drawn here: no library.

import { el, svg } from "./dom.js";
import { fraction } from "./format.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [900, 190, 34, 12, 10, 24];
const LEVELS = ["PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED"];

/** The plot of these decisions and what it says in words; null when nothing was measured. */
export function plot(decisions) {
  const measured = decisions.some(({ signals }) => signals && (signals.semantic_distance_ppm !== null || signals.cumulative_drift_ppm !== null));
  if (!measured) return null;
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, decisions.length - 1);
  const x = (place) => LEFT + (decisions.length === 1 ? (WIDTH - LEFT - RIGHT) / 2 : place * step);
  const y = (value) => TOP + (1 - Math.min(1, Math.max(0, value))) * (HEIGHT - TOP - BOTTOM);
  const series = (name) => decisions.map(({ signals }, place) => [place, signals?.[name] ?? null]).filter(([, ppm]) => ppm !== null).map(([place, ppm]) => [x(place), y(ppm / 1e6), place, ppm]);
  const [distance, drift] = [series("semantic_distance_ppm"), series("cumulative_drift_ppm")];
  const line = (points, kind) => points.length > 1 ? svg("polyline", { class: kind, points: points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ") }) : null;
  const labels = Math.max(1, Math.ceil(decisions.length / 12));
  const about = `Semantic distance and cumulative drift of ${decisions.length} actions. ${highest("Distance", distance)} ${highest("Drift", drift)}`;
  const picture = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": about },
    [0, 0.25, 0.5, 0.75, 1].map((value) => [
      svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)),
    ]),
    decisions.map((_, place) => place % labels === 0 ? svg("text", { x: x(place), y: HEIGHT - 6, "text-anchor": "middle" }, place + 1) : null),
    staircase(decisions, x, y),
    line(distance, "distance"), distance.map(([px, py]) => svg("circle", { class: "distance-point", cx: px, cy: py, r: 3 })),
    line(drift, "drift"), drift.map(([px, py]) => svg("rect", { class: "drift-point", x: px - 3, y: py - 3, width: 6, height: 6 })));
  return el("figure", null, picture, legend());
}

function highest(name, points) {
  if (!points.length) return `${name} unknown.`;
  const [, , place, ppm] = points.reduce((one, other) => (other[3] > one[3] ? other : one));
  return `${name} highest at action ${place + 1}: ${fraction(ppm)}.`;
}

// The data level only rises: a thin staircase behind the curves, one quarter a level.
function staircase(decisions, x, y) {
  let path = "";
  decisions.forEach(({ level }, place) => {
    const height = LEVELS.indexOf(level);
    if (height < 0) return;
    const value = y(height / (LEVELS.length - 1));
    path += path ? `H${x(place).toFixed(1)}V${value.toFixed(1)}` : `M${x(place).toFixed(1)},${value.toFixed(1)}`;
  });
  return path && svg("path", { class: "level", d: `${path}H${x(decisions.length - 1).toFixed(1)}` });
}

function legend() {
  const sample = (...parts) => svg("svg", { class: "sample", width: 28, height: 10, viewBox: "0 0 28 10", "aria-hidden": "true" }, parts);
  return el("ul", { class: "legend" },
    el("li", null, sample(svg("path", { class: "distance", d: "M0 5H28" }), svg("circle", { class: "distance-point", cx: 14, cy: 5, r: 3 })), "distance of each action from the intent"),
    el("li", null, sample(svg("path", { class: "drift", d: "M0 5H28" }), svg("rect", { class: "drift-point", x: 11, y: 2, width: 6, height: 6 })), "cumulative drift"),
    el("li", null, sample(svg("path", { class: "level", d: "M0 8H14V2H28" })), `data level, ${LEVELS[0].toLowerCase()} (bottom) to ${LEVELS.at(-1).toLowerCase()} (top)`));
}
