// A job from its request to its end.

import { ProblemError, isEnded } from "./api.js";

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
 * @param {{onEvent?: (event: object) => void, signal?: AbortSignal}} options
 * @throws {ProblemError} when it failed
 */
export async function followed(api, job, { onEvent = () => {}, signal = null } = {}) {
  if (!isEnded(job.status)) {
    onEvent(job);
    for await (const event of api.events(job.links.events, signal)) onEvent(event);
  }
  const ended = await api.json(job.links.self, { signal });
  if (ended.status === "failed") throw new ProblemError(ended.error, ended.error.status);
  return ended;
}

/** Sends a request that makes a job, and follows it to its end. */
export async function asked(api, path, form, options = {}) {
  const job = await api.json(path, { method: "POST", body: form, signal: options.signal });
  options.onJob?.(job);
  return followed(api, job, options);
}
