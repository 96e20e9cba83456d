// A job from its request to its end.

import { ProblemError, isEnded } from "./api.js";
import { persistently } from "./patience.js";
import { CANCELLED, REPLACED } from "./session.js";

/** What to send to `POST /explain`: a sound with a name, and further fields. */
export function explainForm(sound, fields = {}) {
  const form = new FormData();
  form.append("file", sound, sound.name ?? "recording.wav");
  for (const [name, value] of Object.entries(fields)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") form.append(name, String(each));
    }
  }
  return form;
}

/**
 * Follows a job to its end and returns it as it is then.
 * @param {import("./api.js").Api} api
 * @param {object} job as it was answered
 * @param {{signal: AbortSignal, onEvent?: (event: object) => void, onTrouble?: (error: Error | null) => void,
 *   givesUpOn?: DOMException[]}} options `givesUpOn`: the service is told that nobody waits any more when `signal`
 *   aborts for one of these reasons before the end
 * @throws {ProblemError} when it failed
 */
export async function followed(api, job, { signal, onEvent = () => {}, onTrouble = () => {}, givesUpOn = [] }) {
  const giveUp = () => { if (givesUpOn.includes(signal.reason)) abandon(api, job); };
  if (signal.aborted) giveUp();
  signal.throwIfAborted();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    if (!isEnded(job.status)) {
      onEvent(job);
      for await (const event of api.events(job.links.events, signal, onTrouble)) onEvent(event);
    }
    const ended = await persistently(() => api.json(job.links.self, { signal }), { signal, onTrouble });
    if (ended.status === "failed") throw new ProblemError(ended.error, ended.error.status);
    return ended;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/**
 * Sends a request that makes a job, and follows it to its end; gives it up when it is cancelled or another one takes
 * its place.
 */
export async function asked(api, path, form, { onJob = () => {}, ...options }) {
  const { signal, onTrouble } = options;
  const job = await api.json(path, { method: "POST", body: form, signal, onTrouble });
  if (!signal.aborted) onJob(job);
  return followed(api, job, { ...options, givesUpOn: [CANCELLED, REPLACED] });
}

/** Tells the service that nobody waits for a job any more; one that has ended stays as it is, for a DELETE removes it. */
function abandon(api, job) {
  api.json(job.links.self)
    .then((now) => (isEnded(now.status) ? null : api.json(job.links.self, { method: "DELETE" })))
    .catch(() => {}); // it ends by itself
}
