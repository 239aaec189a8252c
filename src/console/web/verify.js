// The proof of a receipt, made again with WebCrypto from the texts that were signed: DSSE signatures (Ed25519), leaf
// hashes and audit paths (RFC 6962, section 2.1), the signed note of the checkpoint (C2SP tlog-checkpoint).

const ENCODER = new TextEncoder();

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    all.set(part, place);
    place += part.length;
  }
  return all;
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}

async function signed(key, signature, message) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

/** A C2SP verifier key: name, key id, key. The id must be that of the name and the key. */
async function verifierKey(text) {
  const [name, id, blob] = text.split("+", 2).concat(text.split("+").slice(2).join("+"));
  const bytes = bytesOf(blob);
  if (bytes.length !== 33 || bytes[0] !== 1) throw new Error("not an Ed25519 key");
  const computed = hexOf((await sha256(ENCODER.encode(`${name}\n`), bytes)).slice(0, 4));
  if (computed !== id) throw new Error("the key's id is not its own");
  return { name, id, key: bytes.slice(1) };
}

/** Whether one of an envelope's signatures is this key's (DSSE v1). */
async function sealedBy(envelope, key) {
  const payload = bytesOf(envelope.payload);
  const type = envelope.payloadType;
  const message = joined(ENCODER.encode(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload);
  for (const { sig } of envelope.signatures) {
    if (await signed(key, bytesOf(sig), message)) return true;
  }
  return false;
}

function predicateOf(envelope) {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(envelope.payload))).predicate;
}

/** The root that a leaf and its audit path lead to (RFC 9162, section 2.1.3.2). Places are below 2^53. */
export async function rootOf(leaf, index, size, path) {
  if (index >= size) throw new Error("the entry lies behind the checkpoint");
  const half = (number) => Math.floor(number / 2);
  let [node, last, hash] = [index, size - 1, leaf];
  for (const sibling of path) {
    if (last === 0) throw new Error("the path is too long");
    if (node % 2 === 1 || node === last) {
      hash = await sha256(Uint8Array.of(1), sibling, hash);
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new Error("the path is too short");
  return hash;
}

/** Opens a checkpoint with the log's key: size and root. */
async function openCheckpoint(note, { name, id, key }) {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  const [origin, size, root] = text.split("\n");
  if (origin !== name) throw new Error("the checkpoint is of another log");
  for (const line of note.slice(end + 2).split("\n")) {
    const parts = /^\u2014 (\S+) (\S+)$/u.exec(line);
    if (!parts || parts[1] !== name) continue;
    const blob = bytesOf(parts[2]);
    if (hexOf(blob.slice(0, 4)) !== id) continue;
    if (await signed(key, blob.slice(4), ENCODER.encode(text))) return { size: Number(size), root: bytesOf(root) };
  }
  throw new Error("no signature of the log's key");
}

/** Does every check of a receipt. `steps`: {holds, says, problem}. */
export async function verify({ receipt_id: receiptId, evidence, ...shown }) {
  const steps = [];
  const step = async (says, work) => {
    try {
      const value = await work();
      steps.push({ holds: true, says });
      return value;
    } catch (error) {
      steps.push({ holds: false, says, problem: error.message });
      return null;
    }
  };
  const must = (holds, problem) => {
    if (!holds) throw new Error(problem);
  };
  const root = await step("the root key and the log's key are well formed", async () => {
    const keys = { root: await verifierKey(evidence.root_key), log: await verifierKey(evidence.log_key) };
    must(keys.log.name === evidence.origin, "the log's key is of another log");
    return keys;
  });
  if (!root) return { steps, rootKeyId: null };
  const checkpoint = await step("the checkpoint is signed by the log's key", () => openCheckpoint(evidence.checkpoint, root.log));
  const receiptKeys = new Map();
  for (const [index, text] of Object.entries(evidence.key_entries)) {
    await step(`entry ${index} certifies the receipt key, signed by the root key`, async () => {
      const envelope = JSON.parse(text);
      must(await sealedBy(envelope, root.root.key), "not signed by the root key");
      receiptKeys.set(index, bytesOf(predicateOf(envelope).key.receipt_key));
    });
  }
  for (const entry of evidence.entries) {
    const listed = shown.proof.entries.find((other) => other.index === entry.index);
    await step(`entry ${entry.index} (${listed?.kind}) is signed`, async () => {
      const envelope = JSON.parse(entry.envelope);
      const key = predicateOf(envelope).kind === "key" ? root.root.key : receiptKeys.get(String(entry.certified_in));
      must(key, "its key is not certified");
      must(await sealedBy(envelope, key), "the signature is of another text or another key");
    });
    const leaf = await sha256(Uint8Array.of(0), ENCODER.encode(entry.envelope));
    await step(`entry ${entry.index} has the leaf hash that is shown`, async () => must(`sha256:${hexOf(leaf)}` === listed?.leaf_hash, "another hash"));
    await step(`entry ${entry.index} is in the tree of the checkpoint`, async () => {
      must(entry.inclusion && checkpoint, "no checkpoint covers it yet: reload in a second");
      const path = entry.inclusion.map((hash) => Uint8Array.from(hash.replace("sha256:", "").match(/../g), (pair) => parseInt(pair, 16)));
      must(hexOf(await rootOf(leaf, entry.index, checkpoint.size, path)) === hexOf(checkpoint.root), "it leads to another root");
    });
  }
  await step("what is shown above is what was signed", async () => same(evidence.entries, shown, receiptId, must));
  return { steps, rootKeyId: evidence.root_key };
}

// Every block of the receipt must be the block of one of its entries: the page must not show what nobody signed.
async function same(entries, shown, receiptId, must) {
  const said = entries.map((entry) => predicateOf(JSON.parse(entry.envelope)));
  must(said.some((predicate) => predicate.receipt_id === receiptId), "the receipt id is of no entry");
  for (const block of ["action", "identity", "context", "decision", "approval", "deferral"]) {
    const text = JSON.stringify(shown[block]);
    must(!shown[block] || said.some((predicate) => JSON.stringify(predicate[block]) === text), `${block} is of no entry`);
  }
  const ends = said.filter((predicate) => predicate.outcome).map((predicate) => JSON.stringify(executionOf(predicate.outcome)));
  must(!shown.execution || ends.includes(JSON.stringify(shown.execution)), "the outcome is of no entry");
}

/** AARM's names of an outcome, as the receipt has them. */
function executionOf({ started, completed, success, ...rest }) {
  return { started_at: started, completed_at: completed, success, output_hash: rest.result?.hash ?? null, ...rest };
}
