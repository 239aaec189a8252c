// Elements from names, attributes and texts. A text stays a text: nothing here, or anywhere, makes markup of data.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

/** Appends nodes, texts and arrays of them; leaves out null. */
export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** An HTML element: el("p", {class: "note"}, "text", other). */
export function el(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function svg(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** Replaces what is in `node`. */
export function show(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

/** Says something to people who do not see the page. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A link to a page of the console. */
export function link(path, ...children) {
  return el("a", { href: path }, ...children);
}

/** Terms and their values; those without a value are left out. */
export function facts(pairs, attributes) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts", ...attributes }, rows.map(([term, value]) => [el("dt", null, term), el("dd", null, value)]));
}

/** A part of a page under a heading. */
export function section(title, ...children) {
  return el("section", null, el("h2", null, title), ...children);
}

/**
 * A table. `columns`: {name, cell(row), wide, numeric, grow}; a `wide` one is left out on narrow screens.
 */
export function table(label, columns, rows, options = {}) {
  const head = el("tr", null, columns.map((column) => el("th", { scope: "col", class: kind(column) }, column.name)));
  const body = el("tbody", null, rows.map((row) => tableRow(columns, row, options)));
  const made = el("table", null, el("caption", { class: "visually-hidden" }, label), el("thead", null, head), body);
  return el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, made);
}

/** A row of such a table. */
export function tableRow(columns, row, options = {}) {
  const attributes = options.attributes ? options.attributes(row) : null;
  return el("tr", attributes, columns.map((column) => el("td", { class: kind(column) }, column.cell(row))));
}

function kind({ wide, numeric, grow, name }) {
  const words = [wide && "wide", numeric && "number", grow && "grow", (name === "Agent" || name === "Human") && "name", name === "Action" && "action"];
  return words.filter(Boolean).join(" ") || null;
}

/** What stands where there is nothing to show, and what to do about it. */
export function empty(text) {
  return el("p", { class: "empty" }, text);
}

/**
 * Calls `look` again every so many milliseconds while the page is shown, but not under the hands of who is using `place`.
 */
export function repeat(look, every, place, signal) {
  const again = async () => {
    if (signal.aborted) return;
    if (!document.hidden && !place.contains(document.activeElement)) await look().catch(() => {});
    setTimeout(again, every);
  };
  setTimeout(again, every);
}
