// The console in a real browser: logs in, watches an action arrive, denies a request, finds and verifies its receipt,
// follows the session; no serious finding of axe-core on any page; a picture of every page, wide and narrow.
//
//   node main.mjs SCRATCH BINARY WORK
//
// SCRATCH: what install.sh filled; BINARY: the proxy; WORK: a folder for what the run leaves, pictures in WORK/pictures.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { HOSTILE, start } from "./stand.mjs";

const [scratch, binary, work] = process.argv.slice(2);
const require = createRequire(join(scratch, "browser", "package.json"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

const pictures = join(work, "pictures");
mkdirSync(pictures, { recursive: true });
const stand = await start(binary, join(work, "stand"));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let checks = 0;

async function check(what, work) {
  await work();
  checks += 1;
  console.log(`ok ${checks} ${what}`);
}

/** A page of its own that fails the test at any error in its scripts and at anything from elsewhere. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: stand.console, timezoneId: "UTC", ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) problems.push(message.text());
  });
  page.on("dialog", (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(stand.console)) problems.push(`a request to ${request.url()}`);
  });
  return { page, problems };
}

async function logIn(page, token) {
  await page.goto("/login");
  await page.getByLabel("Your token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Live" }).waitFor();
}

async function axe(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(told, [], name);
}

/** Pictures of a page at both widths and a look of axe-core at each, in light and in dark. */
async function look(page, name, fullPage = true) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await axe(page, `${name}, ${scheme}`);
  }
  await page.screenshot({ path: join(pictures, `${name}-dark.png`) });
  await page.emulateMedia({ colorScheme: "light" });
  await page.screenshot({ path: join(pictures, `${name}-1280.png`), fullPage });
  await page.setViewportSize({ width: 390, height: 844 });
  await axe(page, `${name}, narrow`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide at 390`);
  await page.screenshot({ path: join(pictures, `${name}-390.png`), fullPage });
  await page.setViewportSize({ width: 1280, height: 800 });
}

async function scene() {
  const { call } = stand;
  const wish = "Find the customer Johnson and prepare the meeting with her";
  await call("meeting", "find_customer", { name: "Johnson" }, wish);
  await call("meeting", "query", { sql: "SELECT * FROM orders WHERE customer = 7", limit: 5000 });
  await call("meeting", "read_email", { id: 12 });
  await call("meeting", "send_email", { to: "mary.johnson@johnson.example", subject: "Our meeting", body: "Looking forward to it" });
  await call("meeting", "drop_table", { table: "orders" });
  await call("meeting", HOSTILE, { note: "<script>alert(2)</script>", direction: "abc\u202edef" });
  await call("cleaning", "delete_file", { path: "/shared/contracts/2024.pdf" }, "Tidy up the shared folder");
  await call("cleaning", "list_files", { path: "/shared" });
}

async function run() {
  const { page, problems } = await open();
  await scene();

  await check("a page without a log-in shows the form and no data", async () => {
    await page.goto("/approvals");
    await page.getByLabel("Your token").waitFor();
    assert.equal(await page.getByRole("table").count(), 0);
    await look(page, "login");
    await page.getByLabel("Your token").fill("csa_wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("No such token").waitFor();
  });

  await check("offers the log-in of the organisation where there is one", async () => {
    await page.route("**/login/ways", (route) => route.fulfill({ json: { oidc: true } }));
    await page.goto("/approvals");
    await page.getByRole("link", { name: "Log in with your organisation's account" }).waitFor();
    await look(page, "login-oidc");
    await page.unroute("**/login/ways");
  });

  await check("logs in, and the cookie is out of reach of scripts", async () => {
    await logIn(page, stand.tokens.approver);
    const [cookie] = await page.context().cookies();
    assert.equal(cookie.httpOnly && cookie.sameSite, "Strict");
    assert.equal(await page.evaluate(() => document.cookie), "");
    assert.ok(!page.url().includes(stand.tokens.approver));
  });

  await check("watches an action arrive, live", async () => {
    await page.getByRole("link", { name: "office.send_email" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "office.pay" }).count(), 0);
    await stand.call("invoice", "read_email", { id: 4711 }, "Look at what is due this week");
    await stand.call("invoice", "pay", { to: "DE02 1203 0000 0000 2020 51", amount: 12400, currency: "EUR" });
    await page.getByRole("link", { name: "office.pay" }).waitFor();
    await page.getByText("waits for a person").first().waitFor();
    await look(page, "live");
  });

  await check("filters and pauses", async () => {
    await page.getByLabel("Decision").selectOption("DENY");
    assert.equal(await page.locator("tbody tr").count(), 1);
    await page.getByLabel("Decision").selectOption("");
    await page.getByRole("button", { name: "Pause" }).click();
    await stand.call("invoice", "list_files", { path: "/invoices" });
    const before = await page.locator("tbody tr").count();
    await page.waitForResponse((answer) => answer.url().includes("/v1/actions"));
    assert.equal(await page.locator("tbody tr").count(), before);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.waitForFunction((count) => document.querySelectorAll("tbody tr").length > count, before);
  });

  await check("names and arguments that are markup stay text", async () => {
    const name = page.getByRole("link", { name: /<img src=x onerror=alert\(1\)>/ });
    await name.waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    await name.click();
    await page.getByText("U+202E").first().waitFor();
    await page.getByText("<script>alert(2)</script>").waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
  });

  await check("opens a request with everything an answer takes", async () => {
    await page.getByRole("link", { name: /^Approvals/ }).click();
    await page.getByRole("heading", { name: "Approvals" }).waitFor();
    await page.getByText("Undecided").waitFor();
    await look(page, "approvals");
    await page.getByRole("link", { name: "office.delete_file" }).click();
    await page.getByText("The policy could not decide").waitFor();
    await look(page, "approval-deferred");
    await page.goBack();
    await page.getByRole("link", { name: "office.pay" }).click();
    for (const text of ["12400", "bob@office.example", "sales-assistant", "Money leaves the company", "Look at what is due this week", "office / payments"]) {
      await page.getByText(text).first().waitFor();
    }
    await look(page, "approval");
    // For the README.
    await page.setViewportSize({ width: 1000, height: 600 });
    await page.screenshot({ path: join(pictures, "readme.png") });
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await check("denies it, with a reason and not without", async () => {
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByText("Say why").waitFor();
    await page.getByLabel("Reason").fill("The account is not the supplier's <b>own</b>");
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByText("ann@office.example").last().waitFor();
    await page.getByText("<b>own</b>").waitFor();
    assert.ok(!stand.upstream.calls.some(({ name }) => name === "pay"), "the payment must not have run");
  });

  await check("finds the receipt and verifies it in the page", async () => {
    await page.getByRole("link", { name: "Receipts" }).click();
    await page.getByLabel("Tool").fill("office.pay");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("link", { name: "office.pay" }).waitFor();
    assert.equal(await page.locator("tbody tr").count(), 1);
    await look(page, "receipts");
    await page.getByRole("link", { name: "office.pay" }).click();
    await page.getByText("The account is not the supplier's <b>own</b>").waitFor();
    await page.getByRole("button", { name: "Verify" }).click();
    await page.getByText(/^All \d+ checks hold$/).waitFor();
    await look(page, "receipt");
  });

  await check("a receipt that was changed on its way does not verify", async () => {
    const flip = (text, place) => text.slice(0, place) + (text[place] === "A" ? "B" : "A") + text.slice(place + 1);
    const changes = {
      "the reason": (found) => { found.decision.reason = "Approved by ann"; },
      "an argument": (found) => { found.action.parameters.text = '{"amount":1}'; },
      "a signature": ({ evidence: { entries: [entry] } }) => { entry.envelope = flip(entry.envelope, entry.envelope.indexOf('"sig":"') + 10); },
      "a payload": ({ evidence: { entries: [entry] } }) => { entry.envelope = flip(entry.envelope, 200); },
      "the key's certificate": ({ evidence }) => { for (const index in evidence.key_entries) evidence.key_entries[index] = flip(evidence.key_entries[index], 300); },
      "the audit path": ({ evidence: { entries: [entry] } }) => { entry.inclusion[0] = `sha256:${"0".repeat(64)}`; },
      "the place": ({ evidence: { entries: [entry] }, proof }) => { entry.index += 1; proof.entries[0].index += 1; },
      "the checkpoint": ({ evidence }) => { evidence.checkpoint = evidence.checkpoint.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`); },
      "the root key": ({ evidence }) => { evidence.root_key = evidence.log_key; },
    };
    for (const [what, change] of Object.entries(changes)) {
      await page.route("**/v1/receipts/*", async (route) => {
        const answer = await route.fetch();
        const found = await answer.json();
        const before = JSON.stringify(found);
        change(found);
        const changed = JSON.stringify(found);
        if (changed === before) problems.push(`${what} was not changed`);
        await route.fulfill({ response: answer, body: changed });
      });
      await page.reload();
      await page.getByRole("button", { name: "Verify" }).click();
      await page.getByText(/^\d+ of \d+ checks fail$/).waitFor().catch(() => problems.push(`${what} was changed, and nothing fails`));
      await page.unroute("**/v1/receipts/*");
    }
  });

  await check("follows the session", async () => {
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByRole("heading", { name: "Sessions" }).waitFor();
    await page.getByText("prepare the meeting with her").waitFor();
    await look(page, "sessions");
    await page.locator("tr", { hasText: "prepare the meeting with her" }).getByRole("link").click();
    await page.getByRole("heading", { name: "Timeline" }).waitFor();
    for (const operation of ["find_customer", "query", "read_email", "send_email", "drop_table"]) {
      await page.getByRole("link", { name: `office.${operation}` }).waitFor();
    }
    await page.getByRole("img", { name: /Semantic distance/ }).waitFor();
    await page.getByText("Data level rose from").first().waitFor();
    await look(page, "session");
  });

  await check("says what a list lacks while the index is behind", async () => {
    for (const [path, name] of [["/sessions", "Sessions"], ["/receipts", "Receipts"]]) {
      await page.route(`**/v1${path}*`, async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, json: { ...(await answer.json()), behind: 41_234 } });
      });
      await page.goto(path);
      await page.getByText("The newest 41,234 entries are not indexed yet").waitFor();
      await look(page, `${name.toLowerCase()}-behind`);
      await page.unroute(`**/v1${path}*`);
    }
  });

  await check("shows policies, destinations and the manual", async () => {
    await page.getByRole("link", { name: "Policies" }).click();
    await page.getByText("office / payments").waitFor();
    await look(page, "policies");
    await page.getByRole("link", { name: "Destinations" }).click();
    await page.getByText("security-team").first().waitFor();
    await look(page, "destinations");
    await page.getByRole("link", { name: "Manual" }).click();
    await page.getByRole("heading", { name: "Manual" }).waitFor();
    await page.getByRole("link", { name: "Policies" }).last().click();
    await page.getByRole("heading", { name: "Policies", level: 1 }).waitFor();
    await look(page, "manual", false);
  });

  await check("works with the keyboard alone", async () => {
    await page.goto("/approvals");
    await page.getByRole("link", { name: "office.delete_file" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id || location.hash), "page");
    await page.getByRole("link", { name: "office.delete_file" }).focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("Reason").focus();
    await page.keyboard.type("Ask the owner first");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("Ask the owner first").waitFor();
  });

  await check("a viewer cannot answer", async () => {
    await stand.call("second", "pay", { amount: 1 });
    const { page: other, problems: theirs } = await open();
    await logIn(other, stand.tokens.viewer);
    await other.goto("/approvals");
    await other.getByRole("link", { name: "office.pay" }).click();
    await other.getByText("takes the role approver").waitFor();
    assert.equal(await other.getByRole("button", { name: "Approve" }).count(), 0);
    assert.deepEqual(theirs, []);
  });

  await check("approves, and it runs once", async () => {
    await page.goto("/approvals");
    await page.getByRole("link", { name: "office.pay" }).click();
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByText("approved").first().waitFor();
    await stand.call("second", "pay", { amount: 1 });
    assert.equal(stand.upstream.calls.filter(({ name }) => name === "pay").length, 1);
  });

  await check("logs out, and the cookie is worth nothing", async () => {
    const cookies = await page.context().cookies();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Your token").waitFor();
    const answer = await fetch(`${stand.console}/v1/me`, { headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join("; ") } });
    assert.equal(answer.status, 401);
  });

  await check("the link in a mail opens its one request, once, and decides nothing by itself", async () => {
    const asked = await stand.call("third", "pay", { to: "DE02 1203 0000 0000 2020 51", amount: 77 });
    const link = await stand.post.link("dora@office.example", asked.result._meta["countersign/decision"].approval_id);
    const { page: mailed, problems: theirs } = await open();
    await mailed.goto(link);
    await mailed.getByText("Money leaves the company").first().waitFor();
    assert.ok(!mailed.url().includes("once"), "the secret stays in the address");
    assert.equal(await mailed.getByRole("link", { name: "Sessions" }).count(), 0);
    await mailed.getByText("pending").first().waitFor();
    await look(mailed, "mailed");
    await mailed.getByLabel("Reason").fill("Not today");
    await mailed.getByRole("button", { name: "Deny" }).click();
    await mailed.getByText("Not today").waitFor();
    await mailed.getByText("dora@office.example").last().waitFor();
    const { page: again, problems: elsewhere } = await open();
    await again.goto(link);
    await again.getByLabel("Your token").waitFor();
    assert.deepEqual([...theirs, ...elsewhere], []);
  });
  assert.deepEqual(problems, [], "errors in the pages");
}

try {
  await run();
  console.log(`${checks} passed, 0 failed`);
} catch (error) {
  console.error(error);
  console.log(`${checks} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  await browser.close();
  await stand.stop();
}
