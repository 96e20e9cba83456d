// The recording, the evidence alone, and what is left without it: one place in time, three sounds.
//
// Each sound has an audio element of its own, fetched when it is first wanted; switching starts the other where the
// first one was. The service makes all three equally loud.

import { h } from "./dom.js";

export class Player extends EventTarget {
  #api;
  #sounds = new Map(); // by source: its path, and its audio element once that is wanted
  #current = "original";
  #startS = 0;
  #isWanted = false;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.#api = api;
    this.element = h("div", { hidden: true });
  }

  /**
   * Says what can be heard. A sound that was there before, at the same path, plays on.
   * @param {Record<string, string>} paths of the sounds, by source
   * @param {number} startS where they begin in the recording
   */
  load(paths, startS) {
    const { timeS } = this;
    const before = this.#sounds;
    this.#startS = startS;
    this.#sounds = new Map(
      Object.entries(paths).map(([source, path]) => {
        const kept = before.get(source);
        return [source, kept?.path === path ? kept : { path, loading: null, audio: null }];
      }),
    );
    for (const [source, sound] of before) {
      if (this.#sounds.get(source) !== sound) this.#drop(sound);
    }
    if (!this.#sounds.has(this.#current)) this.#current = "original";
    if (before.get(this.#current) !== this.#sounds.get(this.#current)) this.#goOn(this.#current, timeS);
    this.#tell();
  }

  get sources() {
    return [...this.#sounds.keys()];
  }

  get source() {
    return this.#current;
  }

  get isPlaying() {
    return this.#isWanted;
  }

  get #audio() {
    return this.#sounds.get(this.#current)?.audio ?? null;
  }

  /** Seconds from the recording's beginning. */
  get timeS() {
    return this.#startS + (this.#audio?.currentTime ?? 0);
  }

  async toggle() {
    if (this.#isWanted) this.pause();
    else await this.play();
  }

  async play() {
    if (!this.#sounds.has(this.#current)) return;
    this.#isWanted = true;
    this.#tell();
    const audio = await this.#ready(this.#current);
    if (!this.#isWanted || audio !== this.#audio) return;
    if (audio.ended) audio.currentTime = 0;
    await started(audio);
  }

  pause() {
    this.#isWanted = false;
    this.#audio?.pause();
    this.#tell();
  }

  async seek(timeS) {
    if (!this.#sounds.has(this.#current)) return;
    const audio = await this.#ready(this.#current);
    audio.currentTime = Math.max(0, Math.min(timeS - this.#startS, audio.duration || 0));
    this.#tell();
  }

  /** Goes on with another sound at the same place. */
  async choose(source) {
    if (!this.#sounds.has(source) || source === this.#current) return;
    const { timeS } = this;
    this.#audio?.pause();
    await this.#goOn(source, timeS);
  }

  async #goOn(source, timeS) {
    this.#current = source;
    this.#tell();
    if (!this.#sounds.has(source)) return;
    const audio = await this.#ready(source);
    if (this.#current !== source || this.#audio !== audio) return;
    audio.currentTime = Math.max(0, timeS - this.#startS);
    if (this.#isWanted) await started(audio);
    this.#tell();
  }

  #ready(source) {
    const sound = this.#sounds.get(source);
    sound.loading ??= this.#load(sound, source);
    return sound.loading;
  }

  async #load(sound, source) {
    const audio = new Audio(await this.#api.url(sound.path));
    audio.dataset.source = source;
    audio.addEventListener("ended", () => {
      this.#isWanted = false;
      this.#tell();
    });
    audio.addEventListener("timeupdate", () => this.#tell());
    await new Promise((resolve, reject) => {
      audio.addEventListener("loadedmetadata", resolve);
      audio.addEventListener("error", () => reject(new Error("The browser cannot play this sound.")));
    });
    sound.audio = audio;
    this.element.append(audio);
    return audio;
  }

  #drop(sound) {
    sound.audio?.pause();
    sound.audio?.remove();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Plays; that a pause came before the sound began is no failure. */
async function started(audio) {
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}
