// The console: which page an address means, and the bar above all of them.

import { ApiError, get, post } from "./api.js";
import { announce, el, show } from "./dom.js";
import { approval } from "./approval.js";
import { approvals } from "./approvals.js";
import { destinations } from "./destinations.js";
import { live } from "./live.js";
import { login } from "./login.js";
import { policies } from "./policies.js";
import { receipt } from "./receipt.js";
import { receipts } from "./receipts.js";
import { session } from "./session.js";
import { sessions } from "./sessions.js";

// Between two looks at how many requests wait, milliseconds.
const COUNT_EVERY = 5_000;

const PAGES = [
  { path: "/live", name: "Live", draw: live },
  { path: "/approvals", name: "Approvals", draw: approvals, one: approval },
  { path: "/sessions", name: "Sessions", draw: sessions, one: session },
  { path: "/receipts", name: "Receipts", draw: receipts, one: receipt },
  { path: "/policies", name: "Policies", draw: policies },
  { path: "/destinations", name: "Destinations", draw: destinations },
];

const page = document.getElementById("page");
const bar = document.getElementById("bar");
let me = null;
let leave = new AbortController();

function navigation() {
  const here = location.pathname;
  const item = (path, name, count) => el("li", null,
    el("a", { href: path, "aria-current": here === path || here.startsWith(`${path}/`) ? "page" : null }, name, count));
  const count = el("span", { id: "waiting", class: "count", hidden: true });
  // A link from a mail opened one request and nothing else.
  const links = me?.only ? [] : PAGES.map(({ path, name }) => item(path, name, path === "/approvals" ? count : null));
  const manual = item("/manual", "Manual", null);
  const who = me && el("div", { class: "who" },
    el("span", { title: me.tenant ? `tenant ${me.tenant}` : null }, `${me.name} (${me.role})`),
    el("button", { type: "button", class: "plain", onclick: logOut }, "Log out"));
  const brand = el("a", { class: "brand", href: "/live" }, "Countersign");
  show(bar, brand, el("nav", { "aria-label": "Pages" }, el("ul", null, me ? links : [], manual)), who);
  bar.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function logOut() {
  await post("/logout");
  me = null;
  await draw();
}

function route() {
  const [, first, id, ...more] = location.pathname.split("/");
  const found = PAGES.find(({ path }) => path === `/${first}`);
  if (!found || more.length) return null;
  if (!id) return { name: found.name, draw: found.draw };
  return found.one && { name: found.name, draw: (page, context) => found.one(page, context, decodeURIComponent(id)) };
}

/** Draws the page of the address. Each page gets a signal that says when it is left. */
async function draw() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  if (location.pathname === "/" || (me && location.pathname === "/login")) history.replaceState(null, "", "/live");
  navigation();
  if (location.pathname.startsWith("/manual")) return;
  if (!me) {
    document.title = "Log in - Countersign";
    login(page, async () => {
      me = await get("/v1/me");
      await draw();
      countWaiting();
    });
    return;
  }
  const found = route();
  document.title = `${found?.name ?? "Nothing here"} - Countersign`;
  if (!found) {
    show(page, el("h1", null, "Nothing here"), el("p", null, "This address belongs to no page."));
    return;
  }
  try {
    await found.draw(page, { me, signal, go, redraw: draw });
  } catch (error) {
    if (signal.aborted) return;
    await failed(error);
  }
}

async function failed(error) {
  if (error instanceof ApiError && error.status === 401) {
    me = null;
    await draw();
    return;
  }
  const text = error instanceof ApiError ? error.message : "This page failed. Reload it.";
  show(page, el("h1", null, error.status === 404 ? "Not found" : "That did not work"), el("p", { class: "problem", role: "alert" }, text));
  if (!(error instanceof ApiError)) throw error;
}

/** Goes to another page. */
export async function go(path) {
  history.pushState(null, "", path);
  await draw();
  page.focus({ preventScroll: true });
  scrollTo(0, 0);
  announce(document.title);
}

async function countWaiting() {
  if (!me || me.only || document.hidden) return;
  try {
    const { total } = await get("/v1/approvals", { status: "pending", limit: 0 });
    const count = document.getElementById("waiting");
    if (!count) return;
    show(count, total, el("span", { class: "visually-hidden" }, " waiting"));
    count.hidden = total === 0;
  } catch {
    // The page itself says when nothing answers.
  }
}

/**
 * The link in a mail has a secret behind its `#`, which logs its reader in once. It leaves the address at once, and
 * stays unused where somebody is logged in already. One that was used or has ended leads to the log-in.
 */
async function openLink() {
  const secret = new URLSearchParams(location.hash.slice(1)).get("once");
  if (!secret) return;
  history.replaceState(null, "", location.pathname);
  if (me) return;
  try {
    await post("/login/link", { secret });
    me = await get("/v1/me");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.origin !== location.origin) return;
  // Pages of the manual are documents of their own, and places within a page are the browser's.
  if (link.pathname.startsWith("/manual") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
addEventListener("popstate", draw);

try {
  me = await get("/v1/me");
} catch {
  me = null;
}
await openLink();
await draw();
countWaiting();
setInterval(countWaiting, COUNT_EVERY);
