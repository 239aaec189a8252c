// Times, numbers and texts as people read them.

import { el } from "./dom.js";

const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });
const DAY = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: "UTC" });

/** A point in time: of today the hour, otherwise the day too. UTC, like the log. */
export function time(text) {
  if (!text) return null;
  const at = new Date(text);
  const today = DAY.format(at) === DAY.format(new Date());
  const shown = today ? TIME.format(at) : `${DAY.format(at)} ${TIME.format(at)}`;
  return el("time", { datetime: text, title: text }, shown);
}

/** A point in time with its day. */
export function fullTime(text) {
  if (!text) return null;
  const at = new Date(text);
  return el("time", { datetime: text, title: text }, `${DAY.format(at)} ${TIME.format(at)} UTC`);
}

/** Seconds as a duration: 42 s, 12 min, 3 h 5 min. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return rest ? `${hours} h ${rest} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long until then. */
export function until(text) {
  const left = (new Date(text) - Date.now()) / 1000;
  return left <= 0 ? "over" : duration(left);
}

/** How long since then. */
export function since(text) {
  return duration((Date.now() - new Date(text)) / 1000);
}

/** Parts of a million as a fraction with two decimals. */
export function fraction(ppm) {
  return ppm === null || ppm === undefined ? null : (ppm / 1e6).toFixed(2);
}

/** A number with its thousands apart. */
export function number(value) {
  return value === null || value === undefined ? null : value.toLocaleString("en-GB").replaceAll(",", "\u202f");
}

/** `tool.operation`. */
export function action(line) {
  if (!line.tool) return line.kind;
  return visible(`${line.tool}.${line.operation}`);
}

// Characters that change how others are read, or are not seen: control characters, marks of direction, zero widths.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]|[\u{e0000}-\u{e0fff}]/gu;

/** A text of somebody else, with what cannot be seen made visible: an approver must see what will run. */
export function visible(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    parts.push(text.slice(end, match.index));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(el("span", { class: "code-point" }, `U+${code}`));
    end = match.index + match[0].length;
  }
  parts.push(text.slice(end));
  return el("bdi", null, parts);
}

/** JSON with its members on lines of their own; a text that is none stays as it is. */
export function pretty(text) {
  try {
    return indented(text);
  } catch {
    return text;
  }
}

// Only white space between tokens is added: numbers, escapes and the order of members stay as they were sent.
function indented(text) {
  JSON.parse(text);
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gsu) ?? [];
  let depth = 0;
  let out = "";
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, place) => {
    const next = tokens[place + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      out += next === "}" || next === "]" ? token : token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const before = tokens[place - 1];
      out += before === "{" || before === "[" ? token : line() + token;
    } else if (token === ",") out += token + line();
    else if (token === ":") out += ": ";
    else out += token;
  });
  return out;
}
