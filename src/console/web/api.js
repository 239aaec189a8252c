// The API of this very instance, as whoever has logged in.

/** An answer that is none: `status`, and `message` in words for people. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(method, path, body, signal) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["countersign-console"] = "1";
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "Countersign does not answer. Is it running?");
  }
  if (answer.status === 204) return null;
  const text = await answer.text();
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // What is not JSON has no detail.
  }
  if (!answer.ok) throw new ApiError(answer.status, value?.detail ?? `HTTP ${answer.status}`);
  return value;
}

/** Reads; `query` holds only what is given. */
export function get(path, query = {}, signal = undefined) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return ask("GET", text ? `${path}?${text}` : path, undefined, signal);
}

/** Changes something. */
export function post(path, body = {}) {
  return ask("POST", path, body);
}
