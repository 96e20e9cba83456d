// A second map beside the first: where the instrument truly is, another instrument of the same answer, one that was not
// found held against one that was ("why not X?"), or the same instrument by another model.

import { focusFrom, say } from "./announce.js";
import { byId, fill, h } from "./dom.js";
import { fullRelevance } from "./reduce.js";
import { asked, explainForm } from "./jobs.js";
import { readNpz } from "./npz.js";
import { ProgressLine } from "./progress.js";
import { CANCELLED, REPLACED, Session } from "./session.js";
import { SpectrogramView, spectrogramOf } from "./spectrogram.js";
import { BESIDE, TEXTS, mapLabel, percent, whyTitle } from "./texts.js";

const TRUTH = "truth";
const SETTLE_MS = 400; // whoever goes through the choices with the arrow keys wants the last one

export class Beside {
  #session = new Session();
  #settling = null;

  /** @param {{main: import("./explanation_view.js").ExplanationView, place: HTMLElement}} options */
  constructor({ main, place }) {
    this.main = main;
    this.place = place;
    this.view = null;
    this.explanation = null;
    this.title = h("h3", { tabindex: "-1" });
    this.choice = /** @type {HTMLSelectElement} */ (byId("beside"));
    this.choice.addEventListener("change", () => {
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => main.do(this.#choose(this.choice.value)), SETTLE_MS);
    });
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
      h("option", { value: "" }, BESIDE.nothing),
      explanation?.quality.truth ? h("option", { value: TRUTH }, BESIDE.truth(explanation.instrument)) : null,
      explanation ? options(BESIDE.another, others.map((each) => [`map:${each.instrument}`, each.instrument])) : null,
      options(BESIDE.whyNot(explanation?.instrument), absent.map((each) => [`not:${each.instrument}`, each.instrument])),
      explanation ? options(BESIDE.otherModel(explanation.instrument), models.map((model) => [`model:${model.id}`, model.id])) : null,
    );
  }

  /** Gives up what is under way here, and takes away what stands here. */
  hide(reason = REPLACED) {
    clearTimeout(this.#settling);
    this.#session.end(reason);
    this.view?.destroy();
    this.view = null;
    this.main.shareScale(0);
    this.place.hidden = byId("map-title").hidden = true;
    fill(this.place);
  }

  /** What speaks for an instrument that was not found, rather than for the one that is looked at. */
  async whyNot(instrument) {
    this.choice.value = `not:${instrument}`;
    await this.#choose(this.choice.value, { isFar: true });
  }

  /** @param {{isFar?: boolean}} options whether it was asked for from elsewhere on the page, so that the focus goes here */
  async #choose(value, { isFar = false } = {}) {
    const { explanation } = this;
    const at = value.indexOf(":");
    const [kind, name] = at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
    this.hide();
    if (!kind) return;
    const signal = this.#session.begin(REPLACED);
    try {
      if (kind === TRUTH) await this.#showTruth(explanation, signal);
      else if (kind === "map") {
        const other = this.main.job.result.explanations.find((each) => each.instrument === name);
        await this.#showMap(this.main.spectrogram, other, { title: whyTitle(name), signal });
      } else if (kind === "not") {
        const fields = { instruments: name, contrast: explanation?.instrument };
        await this.#askAnew(name, BESIDE.notTitle(name, explanation?.instrument), fields, { signal, isFar });
      } else if (kind === "model") {
        const { instrument } = explanation;
        await this.#askAnew(instrument, BESIDE.modelTitle(instrument, name), { instruments: instrument, model: name }, { signal, isFar });
      }
    } catch (error) {
      if (signal.aborted) return;
      const hadFocus = this.place.contains(document.activeElement);
      this.hide();
      this.choice.value = "";
      if (hadFocus) this.choice.focus();
      throw error;
    }
  }

  /** Has the same sound explained in another way, and shows that. */
  async #askAnew(instrument, title, fields, { signal, isFar }) {
    const state = h("span", { class: "quiet", "aria-hidden": "true" });
    const stop = h("button", { type: "button", class: "small", onclick: () => this.#cancel() }, TEXTS.cancel);
    this.title.textContent = title;
    fill(this.place, this.title, h("p", {}, state, " ", stop));
    this.place.hidden = false;
    if (isFar) this.title.focus();
    const line = new ProgressLine({ element: state, signal });
    try {
      const { api, job } = this.main;
      const { sound, part } = await this.main.sound(signal);
      const form = explainForm(sound, { model: job.model.id, method: job.result.method, concepts: 0, ...part, ...fields });
      const ended = await asked(api, "/explain", form, {
        signal,
        onEvent: (event) => line.onEvent(event),
        onTrouble: (error) => line.onTrouble(error),
      });
      if (ended.status === "cancelled") throw new Error(TEXTS.cancelled);
      const spectrogram = spectrogramOf(await readNpz(await api.bytes(ended.result.spectrogram.npz, { signal })), this.main.spectrogram.startS);
      const explanation = ended.result.explanations.find((each) => each.instrument === instrument);
      await this.#showMap(spectrogram, explanation, { title, signal, isSameModel: ended.model.id === job.model.id });
    } finally {
      line.stop();
    }
  }

  #cancel() {
    this.hide(CANCELLED);
    this.choice.value = "";
    this.choice.focus();
    say(TEXTS.cancelled);
  }

  /** @param {{title: string, signal: AbortSignal, isSameModel?: boolean}} options maps of one model share their scale */
  async #showMap(spectrogram, explanation, { title, signal, isSameModel = true }) {
    const { relevance } = await this.main.arrays(explanation.map.npz);
    signal.throwIfAborted();
    const own = fullRelevance(relevance.data);
    const full = isSameModel ? this.main.shareScale(own) : own;
    this.#show(spectrogram, { relevance: relevance.data, full }, `${title} (${percent(explanation.probability)})`,
      mapLabel(explanation.instrument, explanation.contrast));
  }

  async #showTruth(explanation, signal) {
    const { share } = await this.main.arrays(explanation.quality.truth.mask.npz);
    signal.throwIfAborted();
    const title = BESIDE.truthTitle(explanation.instrument);
    this.#show(this.main.spectrogram, { share: share.data }, title, title);
  }

  #show(spectrogram, overlay, title, label) {
    const { span, onseek, player } = this.main;
    const hadFocus = this.place.contains(document.activeElement);
    this.view = new SpectrogramView({ label, span, onseek, readout: byId("readout") });
    this.title.textContent = title;
    fill(this.place, this.title, this.view.frame);
    if (hadFocus) focusFrom([], this.title);
    this.place.hidden = byId("map-title").hidden = false;
    this.view.setSpectrogram(spectrogram);
    this.view.setOverlay(overlay, label);
    this.view.setTime(player.timeS, { isPlaying: player.isPlaying });
    this.main.applyControls();
    say(title);
  }
}
