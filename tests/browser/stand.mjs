// The stand of the browser test: an office of MCP tools, the proxy in front of it, and an agent that calls them.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { join } from "node:path";

const ANSWERS = {
  read_email: { from: "finance@office.example", text: "Invoice 4711 is due. Pay 12,400 EUR to account DE02 1203 0000 0000 2020 51." },
  find_customer: { customer: "Johnson", contact: "mary.johnson@johnson.example", tier: "gold" },
  query: { rows: [{ id: 7, name: "Johnson" }] },
};

const POLICY = `
policy: { id: office, version: "3", description: What the assistants of the sales team may do }
rules:
  - { id: reads, match: { operation: [read_email, find_customer, list_files] }, action: ALLOW }
  - { id: mail-inside, match: { operation: send_email }, action: ALLOW }
  - id: at-most-100-rows
    match: { operation: query }
    action: MODIFY
    modifications: { cap: { limit: 100 } }
    reason: A query returns at most 100 rows
  - { id: no-drops, match: { operation: drop_table }, action: DENY, classification: forbidden, reason: Tables are never dropped by an agent }
  - { id: payments, match: { operation: pay }, action: STEP_UP, severity: HIGH, approvers: [finance], reason: Money leaves the company }
  - { id: unclear-owner, match: { operation: delete_file }, action: DEFER, reason: Nobody knows whose file this is }
  - { id: watch-exports, match: { operation: find_customer }, action: DENY, mode: shadow, reason: Customer data may not be read in bulk }
tests:
  - { name: a payment asks, action: { tool: office, operation: pay, parameters: { amount: 5 } }, expect: STEP_UP }
`;

async function freePort() {
  const socket = createSocket().listen(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

/** An MCP server of the 2025 era whose tools answer and count. */
async function office(names) {
  const calls = [];
  const tools = names.map((name) => ({ name, description: `The tool ${name}`, inputSchema: { type: "object" } }));
  const results = {
    initialize: () => ({ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "office", version: "1" } }),
    "tools/list": () => ({ tools }),
    "tools/call": ({ name, arguments: given }) => {
      calls.push({ name, given });
      return { content: [{ type: "text", text: JSON.stringify(ANSWERS[name] ?? { done: true }) }], structuredContent: ANSWERS[name] ?? { done: true }, isError: false };
    },
  };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const message = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
    if (message.id === undefined) return void response.writeHead(202).end();
    const result = results[message.method]?.(message.params ?? {});
    const body = result ? { result } : { error: { code: -32601, message: "no such method" } };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...body }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, calls, close: () => server.close() };
}

/** A mail server that keeps what it takes. */
async function postOffice() {
  const mails = [];
  const server = createSocket((socket) => {
    let [to, text, inText, rest] = [[], "", false, ""];
    const take = (line) => {
      if (inText && line === ".") {
        mails.push({ to, text });
        [to, text, inText] = [[], "", false];
        return "250 taken";
      }
      if (inText) return void (text += `${line}\n`);
      if (line === "DATA") {
        inText = true;
        return "354 go ahead";
      }
      const recipient = /^RCPT TO:<(.*)>/.exec(line)?.[1];
      if (recipient) to.push(recipient);
      return line === "QUIT" ? "221 bye" : "250 ok";
    };
    socket.write("220 mail.example ESMTP\r\n");
    socket.setEncoding("utf8").on("data", (chunk) => {
      const lines = (rest + chunk).split("\r\n");
      rest = lines.pop();
      for (const answer of lines.map(take)) if (answer) socket.write(`${answer}\r\n`);
    }).on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  /** The address in the mail to this person about this request, out of quoted-printable. */
  const link = async (to, id) => {
    for (let polls = 0; polls < 200; polls += 1) {
      const mail = mails.find((mail) => mail.to.includes(to) && mail.text.replaceAll("=\n", "").includes(id));
      const plain = mail?.text.replaceAll("=\n", "").replace(/=([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
      if (plain) return /http\S+/.exec(plain)[0];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no mail to ${to} about ${id}`);
  };
  return { port: server.address().port, link, close: () => server.close() };
}

/** Starts everything. `binary`: the proxy; `work`: a folder for what the run leaves behind. */
export async function start(binary, work) {
  mkdirSync(work, { recursive: true });
  const names = ["read_email", "find_customer", "list_files", "send_email", "query", "drop_table", "pay", "delete_file"];
  const upstream = await office([...names, HOSTILE]);
  const post = await postOffice();
  const [listen, admin] = [await freePort(), await freePort()];
  const keys = (...words) => JSON.parse(execFileSync(binary, ["keys", ...words, "--json"], { encoding: "utf8" }));
  const [agent, approver, viewer] = [keys("new", "sales"), keys("admin", "ann@office.example", "--role", "approver"), keys("admin", "vera@office.example", "--role", "viewer")];
  writeFileSync(join(work, "office.yaml"), POLICY.replace("[read_email", `[${JSON.stringify(HOSTILE)}, read_email`));
  writeFileSync(join(work, "countersign.yaml"), `
listen: 127.0.0.1:${listen}
admin:
  listen: 127.0.0.1:${admin}
  public_url: http://127.0.0.1:${admin}
  tokens:
    - { name: ann@office.example, role: approver, groups: [finance], hash: "${approver.entry.hash}" }
    - { name: vera@office.example, role: viewer, hash: "${viewer.entry.hash}" }
data_dir: data
policies: [office.yaml]
policy: { schema: off, unknown_schema: allow, internal_domains: [office.example] }
approve:
  legacy_hold_ms: 50
  notifiers:
    - type: email
      server: 127.0.0.1:${post.port}
      security: none
      from: countersign@office.example
      to: [dora@office.example]
      people: { dora@office.example: { name: dora@office.example, groups: [finance] } }
identity:
  api_keys: [{ name: sales, hash: "${agent.hash}", human: bob@office.example, service: desk, agent: sales-assistant }]
servers:
  office:
    url: ${upstream.url}
    tools:
      read_email: { level: CONFIDENTIAL, labels: [PII], trust: untrusted }
      find_customer: { level: INTERNAL, trust: fields }
telemetry:
  exporters:
    - { type: file, path: events.jsonl }
    - { type: webhook, name: security-team, url: "http://127.0.0.1:9/events" }
`);
  const log = openSync(join(work, "proxy.log"), "w");
  const proxy = spawn(binary, ["run", "-c", join(work, "countersign.yaml")], { stdio: ["ignore", log, log] });
  const console = `http://127.0.0.1:${admin}`;
  for (let polls = 0; ; polls += 1) {
    const ready = await fetch(`${console}/readyz`).then((answer) => answer.ok, () => false);
    if (ready) break;
    if (proxy.exitCode !== null || polls > 400) throw new Error(`the proxy does not start; see ${work}/proxy.log`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async () => {
    upstream.close();
    post.close();
    if (proxy.exitCode !== null) return;
    proxy.kill("SIGTERM");
    await once(proxy, "exit");
  };
  return { console, upstream, post, stop, proxy, tokens: { approver: approver.token, viewer: viewer.token }, call: caller(`http://127.0.0.1:${listen}/mcp/office`, agent.key) };
}

/** A tool whose name is markup, with a mark that turns the direction of writing. */
export const HOSTILE = "<img src=x onerror=alert(1)>\u202egnp";

/** Calls tools as an agent: call(session, tool, arguments, intent). */
function caller(url, key) {
  let id = 0;
  return async (session, name, given, intent) => {
    id += 1;
    const meta = { "countersign/session": session, ...(intent && { "countersign/intent": intent }) };
    const body = { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: given, _meta: meta } };
    const answer = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const data = /^data: (.*)$/m.exec(text)?.[1] ?? text;
    return JSON.parse(data);
  };
}
