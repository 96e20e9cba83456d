// Waiting, and asking again what was not answered.

import { ProblemError, isPassing } from "./problems.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
const LONGEST_ASKED_MS = 60_000; // whatever a Retry-After says

/** Waits that grow from try to try; as long at least as the service asked for. */
export class Patience {
  #delayMs = FIRST_DELAY_MS;

  /** It went well. */
  reset() {
    this.#delayMs = FIRST_DELAY_MS;
  }

  /** @param {Error | null} error that made waiting necessary @param {AbortSignal | null} signal */
  async wait(error, signal) {
    const askedMs = Math.min(LONGEST_ASKED_MS, 1_000 * (error?.retryAfterS ?? 0));
    await pause(Math.max(this.#delayMs, askedMs), signal);
    this.#delayMs = Math.min(2 * this.#delayMs, LONGEST_DELAY_MS);
  }
}

/**
 * Tries until it is answered, as long as waiting may help.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {{signal?: AbortSignal | null, onTrouble?: (error: Error | null) => void, tries?: number,
 *   mayHelp?: (error: Error) => boolean}} options `onTrouble` is told of every failure that is waited for, and null
 *   when that is over
 * @returns {Promise<T>}
 */
export async function persistently(attempt, { signal = null, onTrouble = () => {}, tries = Infinity, mayHelp = isPassing } = {}) {
  const patience = new Patience();
  for (let left = tries; ; left -= 1) {
    signal?.throwIfAborted();
    try {
      const found = await attempt();
      onTrouble(null);
      return found;
    } catch (error) {
      if (!mayHelp(error) || left <= 1) throw error;
      onTrouble(error);
      await patience.wait(error, signal);
    }
  }
}

/** Asks again while the service answers that it is still at it. */
export function patiently(ask, { tries = 6, signal = null } = {}) {
  const mayHelp = (error) => error instanceof ProblemError && error.status === 503;
  return persistently(ask, { tries, signal, mayHelp });
}

/** Rejects with the signal's reason when that comes first. */
export function pause(milliseconds, signal = null) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
