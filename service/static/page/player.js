// The recording, the evidence alone, and what is left without it: one place in time, three sounds.
//
// Each sound has an audio element of its own; switching starts the other where the first one was. Until the sound
// that is wanted has come, the place is kept here. The service makes all three equally loud.

import { h } from "./dom.js";
import { patiently } from "./patience.js";
import { TEXTS } from "./texts.js";

const FIRST = "original";

/** One sound, from its path to the element that plays it. */
class Sound {
  audio = null;
  #api;
  #loading = null;
  #ending = new AbortController();

  constructor(api, source, path) {
    this.#api = api;
    this.source = source;
    this.path = path;
  }

  /** Its element, once it can play. After a failure the next call tries again. */
  ready() {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  /** Lets go of it, also while it comes. */
  drop() {
    this.#ending.abort();
    if (this.audio) release(this.audio);
  }

  async #load() {
    const { signal } = this.#ending;
    const url = await patiently(() => this.#api.url(this.path), { signal });
    signal.throwIfAborted();
    const audio = new Audio();
    audio.dataset.source = this.source;
    try {
      await new Promise((resolve, reject) => {
        audio.addEventListener("loadedmetadata", resolve, { once: true, signal });
        audio.addEventListener("error", () => reject(new Error(TEXTS.soundUnplayable)), { once: true, signal });
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        audio.src = url;
      });
    } catch (error) {
      release(audio);
      throw error;
    }
    this.audio = audio;
    return audio;
  }
}

export class Player extends EventTarget {
  #api;
  #sounds = new Map(); // by source
  #current = FIRST;
  #good = FIRST; // the last source that could be heard
  #placed = null; // the sound whose element is at the place; else that is `#placeS`
  #placeS = 0;
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
   * @returns {Promise<void>} once the sound that is chosen can be heard; the others are fetched after it
   */
  async load(paths, startS) {
    const before = this.#sounds;
    const placeS = before.size > 0 ? this.timeS : startS;
    this.#sounds = new Map(Object.entries(paths).map(([source, path]) => {
      const kept = before.get(source);
      return [source, kept?.path === path ? kept : new Sound(this.#api, source, path)];
    }));
    if (!this.#sounds.has(this.#good)) this.#good = FIRST;
    if (!this.#sounds.has(this.#current)) this.#current = this.#good;
    if (this.#placed === null || this.#placed !== this.#sounds.get(this.#current)) this.#keepPlace(placeS);
    this.#startS = startS;
    for (const [source, sound] of before) if (this.#sounds.get(source) !== sound) sound.drop();
    this.#tell();
    if (!this.#sounds.has(this.#current)) return;
    await this.#enter();
    for (const sound of this.#sounds.values()) sound.ready().catch(() => {}); // who chooses one is told of its failure
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

  /** Seconds from the recording's beginning. */
  get timeS() {
    return this.#placed ? this.#startS + this.#placed.audio.currentTime : this.#placeS;
  }

  async toggle() {
    if (this.#isWanted) this.pause();
    else await this.play();
  }

  async play() {
    if (!this.#sounds.has(this.#current)) return;
    this.#isWanted = true;
    this.#tell();
    await this.#enter();
  }

  pause() {
    this.#isWanted = false;
    this.#placed?.audio.pause();
    this.#tell();
  }

  /** Goes to a time at once, though its sound may still be on its way. */
  async seek(timeS) {
    if (!this.#sounds.has(this.#current)) return;
    this.#placeS = Math.max(this.#startS, timeS);
    if (this.#placed) this.#place(this.#placed);
    this.#tell();
  }

  /** Goes on with another sound at the same place. */
  async choose(source) {
    if (!this.#sounds.has(source) || source === this.#current) return;
    this.#keepPlace(this.timeS);
    this.#current = source;
    this.#tell();
    await this.#enter();
  }

  /** Brings the chosen sound to the place and plays it if that is wanted. If it fails, the last good one is back. */
  async #enter() {
    const sound = this.#sounds.get(this.#current);
    const isStill = () => this.#sounds.get(this.#current) === sound;
    try {
      const audio = await sound.ready();
      if (!isStill()) return;
      if (audio.parentNode !== this.element) this.#adopt(sound);
      if (this.#placed !== sound) this.#place(sound);
      if (this.#isWanted) {
        if (audio.ended) audio.currentTime = 0;
        await started(audio);
      }
      if (!isStill()) return;
      this.#good = sound.source;
      this.#tell();
    } catch (error) {
      if (!isStill()) return;
      this.#isWanted = false;
      this.#keepPlace(this.timeS);
      this.#current = this.#good;
      const good = this.#sounds.get(this.#good);
      if (good?.audio && good !== sound) this.#place(good);
      this.#tell();
      throw error;
    }
  }

  #adopt(sound) {
    const { audio } = sound;
    audio.addEventListener("ended", () => {
      if (this.#placed === sound) this.#isWanted = false;
      this.#tell();
    });
    audio.addEventListener("timeupdate", () => this.#tell());
    this.element.append(audio);
  }

  /** Puts a sound's element to the place. */
  #place(sound) {
    const { audio } = sound;
    audio.currentTime = Math.max(0, Math.min(this.#placeS - this.#startS, audio.duration || 0));
    this.#placed = sound;
  }

  /** No element is at the place until one is brought there. */
  #keepPlace(timeS) {
    this.#placed?.audio.pause();
    this.#placed = null;
    this.#placeS = timeS;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

function release(audio) {
  audio.pause();
  audio.remove();
  audio.removeAttribute("src");
  audio.load(); // the browser lets go of the file
}

/** Plays; that a pause came before the sound began is no failure. */
async function started(audio) {
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}
