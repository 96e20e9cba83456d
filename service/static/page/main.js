// The page: what comes in is sent, followed and shown. A link names a finished job.

import { Admin } from "./admin.js";
import { Api, ProblemError } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { ExplanationView } from "./explanation_view.js";
import { Input } from "./input.js";
import { askForKey } from "./key_dialog.js";
import { asked, explainForm } from "./jobs.js";
import { TEXTS, problemLines, progressLine } from "./texts.js";

const api = new Api();
const models = [];
let running = null; // the request of this moment: its AbortController and, once it is known, its job
let sound = null; // what the job that is shown was asked about

api.onKeyNeeded = (problem) => askForKey(api, problem);

const view = new ExplanationView({ api, onFault: tell, sound: soundAtHand, models: () => models });
const input = new Input({ onSound: (file) => analyse(file), onFault: (text) => tell(new Error(text)) });
new Admin(api);

/** Sends a recording and shows what comes of it. */
async function analyse(file, part = null) {
  stop();
  view.clear();
  hush();
  const stopping = new AbortController();
  running = { stopping, job: null };
  const mine = running;
  const began = performance.now();
  let event = null;
  const show = () => {
    const elapsedS = (performance.now() - began) / 1000;
    byId("progress-text").textContent = event ? progressLine(event, elapsedS) : `${TEXTS.sending} · ${elapsedS.toFixed(0)} s`;
    const { done = 0, total = 0 } = event?.progress ?? {};
    if (total > 0) Object.assign(byId("progress-bar"), { max: total, value: done });
    else byId("progress-bar").removeAttribute("value");
  };
  const timer = setInterval(show, 250);
  byId("progress").hidden = false;
  byId("progress-name").textContent = file.name;
  show();
  try {
    const form = explainForm(file, { model: input.model, ...(part ?? {}) });
    const job = await asked(api, "/explain", form, {
      signal: stopping.signal,
      onJob: (made) => { mine.job = made; },
      onEvent: (news) => { event = news; show(); },
    });
    if (running !== mine) return;
    if (job.status === "cancelled") {
      tell(new Error(TEXTS.cancelled));
      return;
    }
    sound = file;
    view.part = part;
    history.pushState({ job: job.id }, "", `/?job=${job.id}`);
    await view.show(job);
  } catch (error) {
    if (running !== mine || error.name === "AbortError") return;
    if (error instanceof ProblemError && error.code === "range-required") {
      byId("progress").hidden = true;
      const { duration_s: durationS, longest_s: longestS } = error.problem;
      const chosen = await input.askForRange(durationS, longestS, stopping.signal);
      if (chosen) analyse(file, chosen);
      return;
    }
    tell(error);
  } finally {
    clearInterval(timer);
    if (running === mine) {
      running = null;
      byId("progress").hidden = true;
    }
  }
}

/** Gives up what is under way; the service is told, so that nobody works on it any more. */
function stop() {
  const stopped = running;
  running = null;
  byId("progress").hidden = true;
  if (!stopped) return;
  stopped.stopping.abort();
  if (stopped.job) api.json(stopped.job.links.self, { method: "DELETE" }).catch(() => {});
}

/** Shows the job that the address names. */
async function restore() {
  const id = new URLSearchParams(location.search).get("job");
  if (!id) {
    view.clear();
    return;
  }
  if (view.job?.id === id) return;
  hush();
  try {
    const job = await api.json(`/jobs/${encodeURIComponent(id)}`);
    if (job.status === "failed") throw new ProblemError(job.error, job.error.status);
    if (!job.result?.explanations) throw new Error(TEXTS.notExplained);
    sound = null;
    const startS = job.result.timeline[0].start_s;
    const endS = job.result.timeline.at(-1).end_s;
    const isPart = startS > 0 || endS + 0.5 < (job.input?.duration_s ?? 0);
    view.part = isPart ? { start_s: startS, duration_s: endS - startS } : null;
    await view.show(job);
  } catch (error) {
    tell(error instanceof ProblemError && error.status === 410 ? new Error(TEXTS.jobGone) : error);
  }
}

/** The sound of the job that is shown, and which part is meant: as it was sent, or what the service analysed of it. */
async function soundAtHand() {
  if (sound) return { sound, part: view.part ?? {} };
  const blob = await api.blob(view.job.result.audio.wav);
  return { sound: new File([blob], "audio.wav", { type: "audio/wav" }), part: {} };
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

async function begin() {
  byId("cancel").addEventListener("click", () => {
    stop();
    tell(new Error(TEXTS.cancelled));
  });
  byId("key").addEventListener("click", () => askForKey(api, null).catch(() => {}).then(loadModels));
  window.addEventListener("popstate", () => restore());
  await loadModels();
  await restore();
  document.documentElement.dataset.ready = "true";
}

async function loadModels() {
  try {
    const known = await api.json("/models");
    models.splice(0, models.length, ...known.models);
    input.showModels(models);
  } catch (error) {
    tell(error);
  }
}

begin();
