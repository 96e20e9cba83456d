// What the page shows of a finished explanation: the map over the spectrogram, the sound, the proof, the concepts.

import { byId, fill, h } from "./dom.js";
import { fullRelevance } from "./colours.js";
import { Beside } from "./beside.js";
import { conceptCards } from "./concepts.js";
import { instrumentList } from "./instruments.js";
import { readNpz } from "./npz.js";
import { Player } from "./player.js";
import { proofOf } from "./proof.js";
import { Share } from "./share.js";
import { SpectrogramView, spectrogramOf } from "./spectrogram.js";
import { SOURCES, mapLabel, percent, seconds } from "./texts.js";
import { TimeWindow } from "./time_window.js";
import { Timeline } from "./timeline.js";

export class ExplanationView {
  #arrays = new Map();
  #chosen = null;
  #preview = null;

  /** @param {{api: import("./api.js").Api, onFault: (error: Error) => void,
   *   sound: () => Promise<{sound: File, part: object}>, models: () => object[]}} options */
  constructor({ api, onFault, sound, models }) {
    this.api = api;
    this.onFault = onFault;
    this.sound = sound;
    this.models = models;
    this.job = null;
    this.player = new Player(api);
    byId("sounds").append(this.player.element);
    this.player.addEventListener("change", () => this.#showPlayer());
    this.#listen();
  }

  /** Shows a job that has succeeded. */
  async show(job) {
    this.clear();
    const spectrogram = spectrogramOf(await readNpz(await this.api.bytes(job.result.spectrogram.npz)));
    this.job = job;
    this.spectrogram = spectrogram;
    const span = new TimeWindow(spectrogram.startS, spectrogram.endS);
    const onseek = (timeS) => this.do(this.player.seek(timeS));
    this.view = new SpectrogramView({ label: mapLabel("no instrument"), span, onseek, readout: byId("readout") });
    this.timeline = new Timeline({ span, onseek });
    this.span = span;
    this.onseek = onseek;
    fill(byId("map-place"), this.view.frame, this.timeline.element);
    this.beside = new Beside({ main: this, place: byId("beside-place") });
    this.list = instrumentList(job.result, {
      onChoose: (instrument) => this.do(this.choose(instrument === this.#chosen?.instrument ? null : instrument)),
      onWhyNot: (instrument) => this.do(this.beside.whyNot(instrument)),
    });
    fill(byId("instruments"), this.list.element);
    byId("result").hidden = false;
    byId("file-name").textContent = job.input?.filename ?? job.id;
    this.share = new Share({ view: this, place: byId("share-place") });
    this.view.setSpectrogram(spectrogram);
    this.applyControls();
    byId("nothing").hidden = job.result.explanations.length > 0;
    this.player.load({ original: job.result.audio.wav }, spectrogram.startS);
    await this.choose(job.result.explanations[0]?.instrument ?? null);
  }

  clear() {
    this.player.pause();
    this.player.load({}, 0);
    this.api.forget();
    this.#arrays.clear();
    this.#chosen = null;
    this.job = null;
    byId("result").hidden = true;
  }

  get chosen() {
    return this.#chosen;
  }

  /** The arrays of an NPZ file of the service, fetched once. */
  arrays(path) {
    if (!this.#arrays.has(path)) {
      const made = this.api.bytes(path).then(readNpz);
      this.#arrays.set(path, made);
      made.catch(() => this.#arrays.delete(path));
    }
    return this.#arrays.get(path);
  }

  /** Lays an instrument's relevance over the spectrogram; null takes it away. */
  async choose(instrument) {
    const explanation = this.job.result.explanations.find((each) => each.instrument === instrument) ?? null;
    this.#chosen = explanation;
    this.list.mark(instrument);
    byId("details").hidden = explanation === null;
    this.beside.offer(explanation);
    const audio = { original: this.job.result.audio.wav };
    if (explanation === null) {
      this.view.setOverlay(null, mapLabel("no instrument"));
      this.timeline.setEvidence(null);
      this.player.load(audio, this.spectrogram.startS);
      return;
    }
    const subject = explanation.contrast ? `${explanation.instrument} rather than ${explanation.contrast}` : explanation.instrument;
    byId("chosen-name").textContent = subject;
    byId("map-title").textContent = `Why ${subject}`;
    fill(byId("proof"), proofOf(explanation));
    const cards = conceptCards(explanation, { api: this.api, onPreview: (concept) => this.do(this.#showPreview(concept)) });
    fill(byId("concepts"), explanation.concepts.length ? cards : h("p", { class: "quiet" }, "No concepts were asked for."));
    this.timeline.setEvidence(explanation.timeline);
    this.player.load(
      { ...audio, kept: explanation.evidence.kept_wav, removed: explanation.evidence.removed_wav },
      this.spectrogram.startS,
    );
    this.share.offer();
    const { relevance } = await this.arrays(explanation.map.npz);
    if (this.#chosen !== explanation) return;
    this.full = fullRelevance(relevance.data);
    this.view.setOverlay({ relevance: relevance.data, full: this.full }, mapLabel(explanation.instrument, explanation.contrast));
  }

  /** A concept's part of the map while it is pointed at. */
  async #showPreview(concept) {
    this.#preview = concept;
    const explanation = this.#chosen;
    if (!explanation) return;
    const { relevance } = await this.arrays((concept ?? explanation).map.npz);
    if (this.#preview !== concept || this.#chosen !== explanation) return;
    const label = concept ? `A concept of ${explanation.instrument}` : mapLabel(explanation.instrument, explanation.contrast);
    this.view.setOverlay({ relevance: relevance.data, full: concept ? fullRelevance(relevance.data) : this.full }, label);
  }

  #listen() {
    byId("play").addEventListener("click", () => this.do(this.player.toggle()));
    byId("zoom-in").addEventListener("click", () => this.span?.zoom(0.5, this.#inSight()));
    byId("zoom-out").addEventListener("click", () => this.span?.zoom(2, this.#inSight()));
    byId("zoom-all").addEventListener("click", () => this.span?.showAll());
    for (const id of ["opacity", "palette"]) byId(id).addEventListener("input", () => this.applyControls());
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target.closest("input:not([type=range]), select, textarea, dialog");
      if (this.job === null || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const source = ["original", "kept", "removed"][Number(event.key) - 1];
      if (source) this.do(this.player.choose(source));
      // On what a space presses by itself, it does that.
      if (event.key !== " " || event.target.closest("button, summary, a, audio, input")) return;
      event.preventDefault();
      this.do(this.player.toggle());
    });
  }

  #inSight() {
    const { timeS } = this.player;
    return timeS >= this.span.startS && timeS <= this.span.endS ? timeS : undefined;
  }

  applyControls() {
    const palette = byId("palette").value;
    for (const view of [this.view, this.beside?.view]) {
      view?.setOpacity(Number(byId("opacity").value));
      view?.setPalette(palette);
    }
    this.timeline?.setPalette(palette);
  }

  #showPlayer() {
    const { player } = this;
    byId("play").textContent = player.isPlaying ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(player.isPlaying));
    this.#showSources();
    this.#showTime();
    if (player.isPlaying && !this.isFollowing) {
      this.isFollowing = true;
      requestAnimationFrame(() => this.#follow());
    }
  }

  #follow() {
    this.isFollowing = this.player.isPlaying;
    if (!this.isFollowing) return;
    this.span.reveal(this.player.timeS);
    this.#showTime();
    requestAnimationFrame(() => this.#follow());
  }

  #showTime() {
    if (this.job === null) return;
    const { player } = this;
    const { timeS } = player;
    byId("time").textContent = `${seconds(timeS)} of ${seconds(this.spectrogram.endS)}`;
    this.view.setTime(timeS, player);
    this.timeline.setTime(timeS);
    this.beside?.view?.setTime(timeS, player);
  }

  #showSources() {
    const { player } = this;
    const quality = this.#chosen?.quality;
    const heard = { original: this.#chosen?.probability, kept: quality?.probability_kept, removed: quality?.probability_removed };
    const place = byId("sources");
    if (place.dataset.sources !== `${player.sources}:${this.#chosen?.instrument}`) {
      place.dataset.sources = `${player.sources}:${this.#chosen?.instrument}`;
      fill(place, player.sources.map((source) => h("button", {
        type: "button", "data-source": source, onclick: () => this.do(player.choose(source)),
      }, SOURCES[source], heard[source] === undefined || heard[source] === null ? null
        : h("span", { class: "quiet" }, ` ${this.#chosen.instrument} ${percent(heard[source])}`))));
    }
    for (const button of place.children) button.setAttribute("aria-pressed", String(button.dataset.source === player.source));
  }

  /** Waits for what was begun, and tells of what goes wrong. */
  do(promise) {
    promise.catch((error) => { if (error.name !== "AbortError") this.onFault(error); });
  }
}
