// Asking again for what the service is still making.

import { ProblemError } from "./api.js";

const PAUSE_MS = 1_500;

/**
 * Asks again while the service answers that it is still at it.
 * @param {() => Promise<any>} ask
 * @param {{tries?: number, signal?: AbortSignal | null}} [options] the signal ends it with its reason
 */
export async function patiently(ask, { tries = 6, signal = null } = {}) {
  for (let left = tries; ; left -= 1) {
    signal?.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 503 || left <= 1) throw error;
    }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
}
