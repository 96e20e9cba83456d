// A second map beside the first: where the instrument truly is, another instrument of the same answer, one that was not
// found held against one that was ("why not X?"), or the same instrument by another model.

import { isEnded } from "./api.js";
import { byId, fill, h } from "./dom.js";
import { fullRelevance } from "./colours.js";
import { asked, explainForm } from "./jobs.js";
import { readNpz } from "./npz.js";
import { SpectrogramView, spectrogramOf } from "./spectrogram.js";
import { mapLabel, percent, progressLine } from "./texts.js";

const TRUTH = "truth";
const SETTLE_MS = 400; // whoever goes through the choices with the arrow keys wants the last one

export class Beside {
  #stopping = null;

  /** @param {{main: import("./explanation_view.js").ExplanationView, place: HTMLElement}} options */
  constructor({ main, place }) {
    this.main = main;
    this.place = place;
    this.view = null;
    this.choice = /** @type {HTMLSelectElement} */ (byId("beside"));
    this.choice.onchange = () => {
      clearTimeout(this.settling);
      this.settling = setTimeout(() => main.do(this.#choose(this.choice.value)), SETTLE_MS);
    };
    this.offer(null);
  }

  /** What may stand beside the explanation that is looked at; what stood there goes. */
  offer(explanation) {
    this.explanation = explanation;
    this.hide();
    const { job } = this.main;
    const options = (label, values) => (values.length ? h("optgroup", { label }, values.map(([value, text]) => h("option", { value }, text))) : null);
    const explained = job?.result.explanations ?? [];
    const others = explained.filter((each) => each !== explanation);
    const absent = (job?.result.instruments ?? []).filter((each) => !explained.some((one) => one.instrument === each.instrument));
    const models = this.main.models().filter((model) => model.id !== job?.model.id && model.instruments.includes(explanation?.instrument));
    fill(
      this.choice,
      h("option", { value: "" }, "nothing"),
      explanation?.quality.truth ? h("option", { value: TRUTH }, `where the ${explanation.instrument} truly is`) : null,
      explanation ? options("Another instrument", others.map((each) => [`map:${each.instrument}`, each.instrument])) : null,
      options(explanation ? `Why not …, rather than ${explanation.instrument}?` : "Why not …?", absent.map((each) => [`not:${each.instrument}`, each.instrument])),
      explanation ? options(`${explanation.instrument} by another model`, models.map((model) => [`model:${model.id}`, model.id])) : null,
    );
  }

  hide() {
    this.#stopping?.abort();
    this.view = null;
    this.place.hidden = byId("map-title").hidden = true;
    fill(this.place);
  }

  /** What speaks for an instrument that was not found, rather than for the one that is looked at. */
  async whyNot(instrument) {
    this.choice.value = `not:${instrument}`;
    await this.#choose(this.choice.value);
  }

  async #choose(value) {
    const { explanation } = this;
    const at = value.indexOf(":");
    const [kind, name] = at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
    this.hide();
    if (kind === TRUTH) await this.#showTruth(explanation);
    else if (kind === "map") {
      const other = this.main.job.result.explanations.find((each) => each.instrument === name);
      await this.#showMap(this.main.spectrogram, other, `Why ${name}`);
    } else if (kind === "not") {
      const contrast = explanation?.instrument;
      await this.#askAnew(name, contrast ? `Why not ${name} rather than ${contrast}?` : `Why not ${name}?`, { instruments: name, contrast });
    } else if (kind === "model") {
      const { instrument } = explanation;
      await this.#askAnew(instrument, `Why ${instrument}, by ${name}`, { instruments: instrument, model: name });
    }
  }

  /** Has the same sound explained in another way, and shows that. */
  async #askAnew(instrument, title, fields) {
    const stopping = new AbortController();
    this.#stopping = stopping;
    const began = performance.now();
    const state = h("p", { class: "quiet", role: "status" }, "…");
    fill(this.place, h("h3", {}, title), state);
    this.place.hidden = false;
    const { api, job } = this.main;
    const { sound, part } = await this.main.sound();
    const form = explainForm(sound, { model: job.model.id, concepts: 0, ...part, ...fields });
    const ended = await asked(api, "/explain", form, {
      signal: stopping.signal,
      onJob: (made) => stopping.signal.addEventListener("abort", () => abandoned(api, made)),
      onEvent: (event) => { state.textContent = progressLine(event, (performance.now() - began) / 1000); },
    });
    const spectrogram = spectrogramOf(await readNpz(await api.bytes(ended.result.spectrogram.npz)), this.main.spectrogram.startS);
    if (stopping.signal.aborted) return;
    this.#stopping = null;
    await this.#showMap(spectrogram, ended.result.explanations.find((each) => each.instrument === instrument), title);
  }

  async #showMap(spectrogram, explanation, title) {
    const { relevance } = await this.main.arrays(explanation.map.npz);
    const overlay = { relevance: relevance.data, full: fullRelevance(relevance.data) };
    this.#show(spectrogram, overlay, `${title} (${percent(explanation.probability)})`, mapLabel(explanation.instrument, explanation.contrast));
  }

  async #showTruth(explanation) {
    const { share } = await this.main.arrays(explanation.quality.truth.mask.npz);
    const title = `Where the ${explanation.instrument} truly is`;
    this.#show(this.main.spectrogram, { share: share.data }, title, title);
  }

  #show(spectrogram, overlay, title, label) {
    const { span, onseek, player } = this.main;
    this.view = new SpectrogramView({ label, span, onseek, readout: byId("readout") });
    fill(this.place, h("h3", {}, title), this.view.frame);
    this.place.hidden = byId("map-title").hidden = false;
    this.view.setSpectrogram(spectrogram);
    this.view.setOverlay(overlay, label);
    this.view.setTime(player.timeS);
    this.main.applyControls();
  }
}

/** Tells the service that nobody waits for a job any more, if it is still at it. */
function abandoned(api, job) {
  api.json(job.links.self).then((now) => (isEnded(now.status) ? null : api.json(job.links.self, { method: "DELETE" }))).catch(() => {});
}
