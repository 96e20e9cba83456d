// The page: what comes in is sent, followed and shown. A link names a job.

import { Admin } from "./admin.js";
import { focusFrom, say } from "./announce.js";
import { Api, ProblemError, isEnded } from "./api.js";
import { hideClassified, showClassified } from "./classified.js";
import { fileNameOf } from "./command.js";
import { byId, fill, h } from "./dom.js";
import { ExplanationView } from "./explanation_view.js";
import { Input } from "./input.js";
import { KeyMissingError, askForKey } from "./key_dialog.js";
import { asked, explainForm, followed } from "./jobs.js";
import { ProgressLine } from "./progress.js";
import { CANCELLED, LEFT, REPLACED, Session } from "./session.js";
import { TEXTS, foundWords, problemLines } from "./texts.js";

const api = new Api();
const session = new Session();
const models = [];
let unfinished = null; // the job that is waited for
let sound = null; // what the job that is shown was asked about, if it came from here

api.onKeyNeeded = (problem) => askForKey(api, problem);

const view = new ExplanationView({ api, onFault: tell, sound: soundAtHand, models: () => models });
const input = new Input({ onSound: (file) => analyse(file), onFault: (text) => tell(new Error(text)) });
new Admin(api, { onModelsChanged: loadModels });

/** Sends a recording and shows what comes of it. */
async function analyse(file, part = null) {
  const signal = begin(REPLACED);
  const isNewEntry = location.search !== "";
  if (isNewEntry) history.pushState(null, "", "/"); // what was shown stays where Back leads
  await during(signal, file.name, async (line) => {
    const form = explainForm(file, { model: input.model, ...(part ?? {}) });
    const job = await asked(api, "/explain", form, {
      ...line,
      signal,
      onJob: (made) => {
        unfinished = made;
        const address = [{ job: made.id }, "", `/?job=${made.id}`];
        if (isNewEntry) history.replaceState(...address);
        else history.pushState(...address);
      },
    });
    unfinished = null;
    await present(job, { signal, from: file, part });
  }, async (error) => {
    if (error.code !== "range-required") return false;
    const { duration_s: durationS, longest_s: longestS } = error.problem;
    const chosen = await input.askForRange(durationS, longestS, signal);
    if (chosen) {
      analyse(file, chosen);
      byId("cancel").focus();
    } else if (!signal.aborted) focusFrom([byId("range")], byId("choose"));
    return true;
  });
}

/** Shows the job that the address names. */
async function restore() {
  const id = new URLSearchParams(location.search).get("job");
  const signal = begin(LEFT);
  if (!id) return;
  await during(signal, "", async (line) => {
    let job = await api.json(`/jobs/${encodeURIComponent(id)}`, { signal });
    if (!["explain", "classify"].includes(job.kind)) throw new Error(TEXTS.notExplained);
    if (!isEnded(job.status)) {
      unfinished = job;
      byId("progress-name").textContent = fileNameOf(job);
      job = await followed(api, job, { ...line, signal, givesUpOn: [CANCELLED] });
      unfinished = null;
    }
    if (job.status === "failed") throw new ProblemError(job.error, job.error.status);
    await present(job, { signal });
  });
}

/** Ends what was under way or shown, and makes room for something else. */
function begin(reason) {
  const signal = session.begin(reason);
  unfinished = null;
  sound = null;
  view.clear();
  hideClassified();
  hush();
  return signal;
}

/** Does something that takes its time, and tells how it goes and what went wrong. */
async function during(signal, name, work, isHandled = async () => false) {
  const place = byId("progress");
  byId("progress-name").textContent = name;
  place.hidden = false;
  const line = new ProgressLine({
    element: byId("progress-text"), bar: byId("progress-bar"), signal, words: name ? TEXTS.sending : TEXTS.loading,
  });
  const end = () => {
    line.stop();
    place.hidden = true;
  };
  signal.addEventListener("abort", end, { once: true }); // at once: the next one shows its own
  try {
    await work({ onEvent: (event) => line.onEvent(event), onTrouble: (error) => line.onTrouble(error) });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    end();
    if (!(await isHandled(error))) fail(error);
  } finally {
    if (!signal.aborted) end();
    signal.removeEventListener("abort", end);
  }
}

/** Shows a job that has ended. */
async function present(job, { signal, from = null, part = null }) {
  if (job.status === "cancelled") throw new Error(TEXTS.cancelled);
  sound = from;
  const places = [byId("progress"), byId("range")];
  if (job.result.explanations) {
    view.part = part ?? (from ? null : partOf(job));
    await view.show(job, signal);
    focusFrom(places, byId("result-title"));
  } else {
    const explain = async () => analyse(await soundOf(job, `${job.links.self}/artifacts/audio.wav`, signal));
    focusFrom(places, showClassified(job, () => view.do(explain())));
  }
  say(foundWords(job.result.instruments));
}

/** Which part of the recording a job was about; null for all of it. */
function partOf({ result, input: sent }) {
  const startS = result.timeline[0].start_s;
  const endS = result.timeline.at(-1).end_s;
  const isPart = startS > 0 || endS + 0.5 < (sent?.duration_s ?? 0);
  return isPart ? { start_s: startS, duration_s: endS - startS } : null;
}

/** The sound of the job that is shown, and which part is meant: as it was sent, or what the service analysed of it. */
async function soundAtHand(signal) {
  if (sound) return { sound, part: view.part ?? {} };
  return { sound: await soundOf(view.job, view.job.result.audio.wav, signal), part: {} };
}

async function soundOf(job, path, signal) {
  const blob = await api.blob(path, { signal });
  const name = (job.input?.filename ?? "audio").replace(/\.[^.]*$/, "");
  return new File([blob], `${name}.wav`, { type: "audio/wav" });
}

/** The reader wants no more of what is under way. */
function cancel() {
  if (unfinished) history.replaceState(null, "", "/"); // what comes of it is not worth a link
  unfinished = null;
  session.end(CANCELLED);
  view.clear();
  fail(new Error(TEXTS.cancelled));
}

function fail(error) {
  tell(error instanceof ProblemError && error.status === 410 ? new Error(TEXTS.jobGone) : error);
  focusFrom([byId("progress")], byId("choose"));
}

/** Says what went wrong, in the words of the problem document. */
function tell(error) {
  const { title, lines } = problemLines(error);
  fill(byId("fault"), h("strong", {}, title), lines.length ? h("ul", {}, lines.map((line) => h("li", {}, line))) : null);
  byId("fault").hidden = false;
}

function hush() {
  byId("fault").hidden = true;
}

/** Whether the models are known now. */
async function loadModels() {
  try {
    const known = await api.json("/models");
    models.splice(0, models.length, ...known.models);
    input.showModels(models);
    return true;
  } catch (error) {
    tell(error);
    return !(error instanceof KeyMissingError);
  }
}

/** Takes another key, and does what was not possible without it. */
async function changeKey() {
  const isGiven = await askForKey(api, null).catch(() => false);
  if (!isGiven) return;
  hush();
  const isIdle = byId("progress").hidden && byId("range").hidden && byId("classified").hidden && view.job === null;
  if ((await loadModels()) && isIdle) await restore();
}

async function open() {
  byId("cancel").addEventListener("click", cancel);
  byId("key").addEventListener("click", changeKey);
  window.addEventListener("popstate", restore);
  const mayGoOn = await loadModels();
  document.documentElement.dataset.ready = "true";
  if (mayGoOn) await restore();
}

open();
