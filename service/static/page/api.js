// The service's public API as the page uses it, and nothing beside it. The key, where one is needed, is kept for
// this tab only. EventSource, img and audio elements cannot send a key: events are read from a fetched stream, and
// files are fetched and shown by object URLs.

const KEY_NAME = "timbrescope-key";
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;

/** A problem document (RFC 9457) that the service answered with. */
export class ProblemError extends Error {
  /** @param {{title?: string, detail?: string, type?: string, status?: number}} problem */
  constructor(problem, status) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.problem = problem;
    this.status = status;
    this.code = (problem.type || "").replace("/problems/", "");
  }
}

/** The service could not be reached at all. */
export class UnreachableError extends Error {}

export class Api {
  #urls = new Map();

  constructor() {
    /** Called when the service wants a key, or another one; resolves once there is one, rejects if there is none. */
    this.onKeyNeeded = null;
  }

  get key() {
    return sessionStorage.getItem(KEY_NAME) || "";
  }

  set key(text) {
    if (text) sessionStorage.setItem(KEY_NAME, text);
    else sessionStorage.removeItem(KEY_NAME);
  }

  /** The answer, if it is a good one; else raises ProblemError, or asks for a key and tries once more. */
  async request(path, { method = "GET", body = null, headers = {}, signal = null, mayAsk = true } = {}) {
    const sent = this.key;
    const own = sent ? { Authorization: `Bearer ${sent}` } : {};
    let answer;
    try {
      answer = await fetch(path, { method, body, signal, headers: { ...own, ...headers }, cache: "no-cache" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new UnreachableError(error.message);
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    if (answer.status === 401 && mayAsk && this.onKeyNeeded) {
      if (this.key === sent) await this.onKeyNeeded(problem);
      return this.request(path, { method, body, headers, signal, mayAsk });
    }
    throw new ProblemError(problem, answer.status);
  }

  async json(path, options = {}) {
    const answer = await this.request(path, options);
    return answer.status === 204 ? null : answer.json();
  }

  async bytes(path) {
    return (await this.request(path)).arrayBuffer();
  }

  async blob(path) {
    return (await this.request(path)).blob();
  }

  /** An object URL for a file of the service; the same one for the same path until `forget`. */
  async url(path) {
    if (!this.#urls.has(path)) {
      const made = this.blob(path).then((blob) => URL.createObjectURL(blob));
      this.#urls.set(path, made);
      made.catch(() => this.#urls.delete(path));
    }
    return this.#urls.get(path);
  }

  /** Lets go of all files that were fetched for showing. */
  forget() {
    for (const made of this.#urls.values()) made.then((url) => URL.revokeObjectURL(url)).catch(() => {});
    this.#urls.clear();
  }

  /**
   * The events of a job until its end, whatever happens to the connection between: the stream is opened again
   * where it broke off.
   * @returns {AsyncGenerator<object>}
   */
  async *events(path, signal) {
    let last = "";
    let delay = FIRST_DELAY_MS;
    for (;;) {
      try {
        const headers = last ? { "Last-Event-ID": last } : {};
        const answer = await this.request(path, { headers, signal });
        if (answer.status === 204) return;
        for await (const event of parsed(answer.body)) {
          delay = FIRST_DELAY_MS;
          if (event.id) last = event.id;
          if (!event.data) continue;
          const data = JSON.parse(event.data);
          yield data;
          if (isEnded(data.status)) return;
        }
      } catch (error) {
        if (error.name === "AbortError" || (error instanceof ProblemError && error.status < 500)) throw error;
      }
      await pause(delay, signal);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    }
  }
}

/** Whether a job of this status never changes again. */
export function isEnded(status) {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}

/** Server-sent events as the HTML standard defines them. */
async function* parsed(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) yield eventOf(block);
  }
}

function eventOf(block) {
  const event = { id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "id") event.id = value;
    if (field === "data") event.data += (event.data ? "\n" : "") + value;
  }
  return event;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("Stopped", "AbortError"));
    });
  });
}
