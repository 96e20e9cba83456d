// What the page shows of a finished explanation: the map over the spectrogram, the sound, the proof, the concepts.

import { Beside } from "./beside.js";
import { fileNameOf } from "./command.js";
import { conceptCards } from "./concepts.js";
import { byId, fill, h } from "./dom.js";
import { instrumentList } from "./instruments.js";
import { readNpz } from "./npz.js";
import { Player } from "./player.js";
import { PlayerBar } from "./player_bar.js";
import { proofOf } from "./proof.js";
import { fullRelevance } from "./reduce.js";
import { Share } from "./share.js";
import { SpectrogramView, spectrogramOf } from "./spectrogram.js";
import { TEXTS, mapLabel, mapTitle, previewLabel, subjectOf } from "./texts.js";
import { TimeWindow } from "./time_window.js";
import { Timeline } from "./timeline.js";

const SETTLE_MS = 80; // a pointer on its way over the concepts wants none of them
const NO_MAP = mapLabel("no instrument");

export class ExplanationView {
  #arrays = new Map();
  #chosen = null;
  #preview = null; // the concept that is pointed at
  #full = 0; // relevance from which on the chosen instrument's colour is full
  #shared = 0; // the same of the map beside it, where the two share their scale
  #laid = null; // relevance and label of what lies over the spectrogram

  /** @param {{api: import("./api.js").Api, onFault: (error: Error) => void,
   *   sound: (signal: AbortSignal) => Promise<{sound: File, part: object}>, models: () => object[]}} options */
  constructor({ api, onFault, sound, models }) {
    this.api = api;
    this.onFault = onFault;
    this.sound = sound;
    this.models = models;
    this.job = null;
    this.signal = null;
    this.onseek = (timeS) => this.do(this.player.seek(timeS));
    this.player = new Player(api);
    byId("sounds").append(this.player.element);
    this.bar = new PlayerBar({
      player: this.player,
      place: byId("result"),
      isShown: () => this.job !== null,
      doing: (promise) => this.do(promise),
      onTime: (timeS, isPlaying) => this.#showTime(timeS, isPlaying),
    });
    this.beside = new Beside({ main: this, place: byId("beside-place") });
    this.#listen();
  }

  /**
   * Shows a job that has succeeded.
   * @param {AbortSignal} signal when it is no longer to be shown; `clear` is called then
   */
  async show(job, signal) {
    this.clear();
    this.signal = signal;
    const spectrogram = spectrogramOf(await readNpz(await this.api.bytes(job.result.spectrogram.npz, { signal })));
    signal.throwIfAborted();
    this.job = job;
    this.spectrogram = spectrogram;
    const { onseek } = this;
    const span = new TimeWindow(spectrogram.startS, spectrogram.endS);
    this.span = span;
    this.view = new SpectrogramView({ label: NO_MAP, span, onseek, readout: byId("readout") });
    this.timeline = new Timeline({ span, onseek });
    this.bar.endS = spectrogram.endS;
    fill(byId("map-place"), this.view.frame, this.timeline.element);
    this.list = instrumentList(job.result, {
      onChoose: (instrument) => this.do(this.choose(instrument === this.#chosen?.instrument ? null : instrument)),
      onWhyNot: (instrument) => this.do(this.beside.whyNot(instrument)),
    });
    fill(byId("instruments"), this.list.element);
    byId("result").hidden = false;
    byId("file-name").textContent = fileNameOf(job);
    this.share = new Share({ view: this, place: byId("share-place") });
    this.view.setSpectrogram(spectrogram);
    this.applyControls();
    byId("nothing").hidden = job.result.explanations.length > 0;
    this.#load({ original: job.result.audio.wav });
    await this.choose(job.result.explanations[0]?.instrument ?? null);
  }

  /** Takes away what is shown, and lets go of all that belongs to it. */
  clear() {
    this.player.pause();
    this.player.load({}, 0);
    this.job = null;
    this.#chosen = this.#preview = this.#laid = this.bar.explanation = null;
    this.beside.hide();
    this.view?.destroy();
    this.timeline?.destroy();
    this.view = this.timeline = this.span = null;
    this.api.forget();
    this.#arrays.clear();
    fill(byId("map-place"));
    byId("result").hidden = true;
  }

  get chosen() {
    return this.#chosen;
  }

  /** The arrays of an NPZ file of the service, fetched once. */
  arrays(path) {
    if (!this.#arrays.has(path)) {
      const made = this.api.bytes(path, { signal: this.signal }).then(readNpz);
      this.#arrays.set(path, made);
      made.catch(() => { if (this.#arrays.get(path) === made) this.#arrays.delete(path); });
    }
    return this.#arrays.get(path);
  }

  /** Lays an instrument's relevance over the spectrogram; null takes it away. */
  async choose(instrument) {
    const explanation = this.job.result.explanations.find((each) => each.instrument === instrument) ?? null;
    this.#mark(explanation);
    if (explanation === null) return;
    const { view } = this;
    view.frame.setAttribute("aria-busy", "true");
    try {
      const { relevance } = await this.arrays(explanation.map.npz);
      if (this.#chosen !== explanation) return;
      this.#full = fullRelevance(relevance.data);
      if (!this.#preview) this.#lay(relevance.data, mapLabel(explanation.instrument, explanation.contrast));
    } catch (error) {
      if (this.#chosen === explanation) this.#mark(null);
      throw error;
    } finally {
      if (this.#chosen === explanation || this.#chosen === null) view.frame.removeAttribute("aria-busy");
    }
  }

  /** All that is said of an instrument but its map, whose place is bare until it comes. */
  #mark(explanation) {
    this.#chosen = this.bar.explanation = explanation;
    this.#preview = this.#laid = null;
    this.#full = 0;
    this.list.mark(explanation?.instrument ?? null);
    byId("details").hidden = explanation === null;
    this.beside.offer(explanation);
    this.view.setOverlay(null, NO_MAP);
    this.timeline.setEvidence(explanation?.timeline ?? null);
    byId("map-title").textContent = mapTitle(explanation);
    const original = this.job.result.audio.wav;
    if (explanation) {
      byId("chosen-name").textContent = subjectOf(explanation);
      fill(byId("proof"), proofOf(explanation));
      const cards = conceptCards(explanation, { api: this.api, onPreview: (concept) => this.do(this.#showPreview(concept)) });
      fill(byId("concepts"), explanation.concepts.length ? cards : h("p", { class: "quiet" }, TEXTS.noConcepts));
      this.#load({ original, kept: explanation.evidence.kept_wav, removed: explanation.evidence.removed_wav });
    } else this.#load({ original });
    this.share.offer();
  }

  /** A concept's part of the map while it is pointed at, on the scale of the whole. */
  async #showPreview(concept) {
    this.#preview = concept;
    const explanation = this.#chosen;
    if (!explanation) return;
    await new Promise((resolve) => { setTimeout(resolve, SETTLE_MS); });
    if (this.#preview !== concept || this.#chosen !== explanation) return;
    const { relevance } = await this.arrays((concept ?? explanation).map.npz);
    if (this.#preview !== concept || this.#chosen !== explanation) return;
    this.#lay(relevance.data, concept ? previewLabel(explanation) : mapLabel(explanation.instrument, explanation.contrast));
  }

  #lay(relevance, label) {
    this.#laid = { relevance, label };
    const full = Math.max(this.#full, this.#shared) || fullRelevance(relevance);
    this.view.setOverlay({ relevance, full }, label);
  }

  /** Gives this map and one beside it the same scale, the wider one of both, and returns it; 0 when none is beside it. */
  shareScale(full) {
    const wider = this.#laid ? Math.max(this.#full, full) : full;
    if (full === this.#shared) return wider;
    this.#shared = full;
    if (this.#laid) this.#lay(this.#laid.relevance, this.#laid.label);
    return wider;
  }

  #load(paths) {
    this.do(this.player.load(paths, this.spectrogram.startS));
  }

  #listen() {
    byId("zoom-in").addEventListener("click", () => this.span?.zoom(0.5, this.#inSight()));
    byId("zoom-out").addEventListener("click", () => this.span?.zoom(2, this.#inSight()));
    byId("zoom-all").addEventListener("click", () => this.span?.showAll());
    for (const id of ["opacity", "palette", "signs"]) byId(id).addEventListener("input", () => this.applyControls());
  }

  #inSight() {
    const { timeS } = this.player;
    return timeS >= this.span.startS && timeS <= this.span.endS ? timeS : undefined;
  }

  applyControls() {
    const palette = byId("palette").value;
    const signs = byId("signs").value;
    for (const view of [this.view, this.beside.view]) {
      view?.setOpacity(Number(byId("opacity").value));
      view?.setPalette(palette);
      view?.setSigns(signs);
    }
    this.timeline?.setPalette(palette);
    this.timeline?.setSigns(signs);
  }

  #showTime(timeS, isPlaying) {
    if (isPlaying) this.span.reveal(timeS);
    this.view.setTime(timeS, { isPlaying });
    this.timeline.setTime(timeS);
    this.beside.view?.setTime(timeS, { isPlaying });
  }

  /** Waits for what was begun, and tells of what goes wrong. */
  do(promise) {
    Promise.resolve(promise).catch((error) => { if (error.name !== "AbortError") this.onFault(error); });
  }
}
