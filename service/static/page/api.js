// The service's public API as the page uses it, and nothing beside it. The key, where one is needed, is kept for
// this tab only. EventSource, img and audio elements cannot send a key: events are read from a fetched stream, and
// files are fetched and shown by object URLs.

import { eventsOf } from "./events.js";
import { Patience, persistently } from "./patience.js";
import { ProblemError, UnreachableError, brokenOff, isPassing } from "./problems.js";

export { ProblemError, UnreachableError };

const KEY_NAME = "timbrescope-key";
const POST_TRIES = 4;

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

  /**
   * The answer, if it is a good one; else raises ProblemError, or asks for a key and tries once more. A POST whose
   * answer got lost is sent again: its Idempotency-Key lets the service make one thing of it.
   * @param {string} path
   * @param {{method?: string, body?: BodyInit | null, headers?: Record<string, string>, signal?: AbortSignal | null,
   *   onTrouble?: (error: Error | null) => void}} options
   */
  async request(path, { method = "GET", body = null, headers = {}, signal = null, onTrouble } = {}) {
    if (method !== "POST") return this.#once(path, { method, body, headers, signal });
    const keyed = { "Idempotency-Key": newKey(), ...headers };
    const isLost = (error) => error instanceof UnreachableError || error.code === "idempotency-in-flight";
    const send = () => this.#once(path, { method, body, headers: keyed, signal });
    return persistently(send, { signal, onTrouble, tries: POST_TRIES, mayHelp: isLost });
  }

  async #once(path, options) {
    const sent = this.key;
    const own = sent ? { Authorization: `Bearer ${sent}` } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers: { ...own, ...options.headers }, cache: "no-cache" });
    } catch (error) {
      throw brokenOff(error, options.signal);
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    if (answer.status === 401 && this.onKeyNeeded) {
      if (this.key === sent) await this.onKeyNeeded(problem);
      options.signal?.throwIfAborted();
      return this.#once(path, options);
    }
    throw new ProblemError(problem, answer.status, Number(answer.headers.get("Retry-After")) || 0);
  }

  async json(path, options = {}) {
    const answer = await this.request(path, options);
    return answer.status === 204 ? null : whole(answer.json(), options.signal);
  }

  async bytes(path, options = {}) {
    return whole((await this.request(path, options)).arrayBuffer(), options.signal);
  }

  async blob(path, options = {}) {
    return whole((await this.request(path, options)).blob(), options.signal);
  }

  /** An object URL for a file of the service; the same one for the same path until `forget`. */
  async url(path) {
    if (!this.#urls.has(path)) {
      const made = this.blob(path).then((blob) => URL.createObjectURL(blob));
      this.#urls.set(path, made);
      made.catch(() => { if (this.#urls.get(path) === made) this.#urls.delete(path); });
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
   * @param {string} path
   * @param {AbortSignal | null} signal
   * @param {(error: Error | null) => void} onTrouble told when the connection is lost, and with null when it is back
   * @returns {AsyncGenerator<object>}
   */
  async *events(path, signal = null, onTrouble = () => {}) {
    const patience = new Patience();
    let last = "";
    for (;;) {
      let trouble = null;
      try {
        const headers = last ? { "Last-Event-ID": last } : {};
        const answer = await this.request(path, { headers, signal });
        onTrouble(null);
        if (answer.status === 204) return;
        for await (const event of eventsOf(answer.body, signal)) {
          patience.reset();
          if (event.id) last = event.id;
          if (!event.data) continue;
          const data = JSON.parse(event.data);
          yield data;
          if (isEnded(data.status)) return;
        }
      } catch (error) {
        if (!isPassing(error)) throw error;
        trouble = error;
        onTrouble(error);
      }
      await patience.wait(trouble, signal);
    }
  }
}

/** Whether a job of this status never changes again. */
export function isEnded(status) {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}

/** The body of an answer, unless the connection breaks before its end. */
async function whole(reading, signal) {
  try {
    return await reading;
  } catch (error) {
    throw brokenOff(error, signal);
  }
}

/** 128 random bits; `crypto.randomUUID` is there on https alone. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
