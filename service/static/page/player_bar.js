// What is heard, and where: the buttons over the map, and the keys that stand for them.

import { byId, fill, h } from "./dom.js";
import { SOURCES, TEXTS, percent, placeWords } from "./texts.js";

const KEYS = { 1: "original", 2: "kept", 3: "removed" };

export class PlayerBar {
  #isFollowing = false;

  /**
   * @param {{player: import("./player.js").Player, place: HTMLElement, isShown: () => boolean,
   *   doing: (promise: Promise<unknown>) => void, onTime: (timeS: number, isPlaying: boolean) => void}} options
   *   `place` is where the keys work; `onTime` is called whenever the place changes, and every frame while it plays
   */
  constructor({ player, place, isShown, doing, onTime }) {
    this.player = player;
    this.isShown = isShown;
    this.doing = doing;
    this.onTime = onTime;
    this.explanation = null;
    this.endS = 0;
    player.addEventListener("change", () => this.show());
    byId("play").addEventListener("click", () => doing(player.toggle()));
    place.addEventListener("keydown", (event) => this.#onKey(event));
  }

  show() {
    const { player } = this;
    byId("play").textContent = player.isPlaying ? TEXTS.pause : TEXTS.play;
    byId("play").setAttribute("aria-pressed", String(player.isPlaying));
    this.#showSources();
    this.#showTime();
    if (player.isPlaying && !this.#isFollowing) requestAnimationFrame(() => this.#follow());
    this.#isFollowing = player.isPlaying;
  }

  #follow() {
    this.#isFollowing = this.player.isPlaying;
    if (!this.#isFollowing) return;
    this.#showTime();
    requestAnimationFrame(() => this.#follow());
  }

  #showTime() {
    if (!this.isShown()) return;
    const { timeS, isPlaying } = this.player;
    byId("time").textContent = placeWords(timeS, this.endS);
    this.onTime(timeS, isPlaying);
  }

  #showSources() {
    const { player, explanation } = this;
    const quality = explanation?.quality;
    const heard = { original: explanation?.probability, kept: quality?.probability_kept, removed: quality?.probability_removed };
    const place = byId("sources");
    const shown = `${player.sources}:${explanation?.instrument}`;
    if (place.dataset.sources !== shown) {
      place.dataset.sources = shown;
      fill(place, player.sources.map((source) => h("button", {
        type: "button", "data-source": source, onclick: () => this.doing(player.choose(source)),
      }, SOURCES[source], heard[source] === undefined || heard[source] === null ? null
        : h("span", { class: "quiet" }, ` ${explanation.instrument} ${percent(heard[source])}`))));
    }
    for (const button of place.children) button.setAttribute("aria-pressed", String(button.dataset.source === player.source));
  }

  #onKey(event) {
    const isTyping = event.target.closest("input:not([type=range]), select, textarea, dialog");
    if (!this.isShown() || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const source = KEYS[event.key];
    if (source) this.doing(this.player.choose(source));
    // On what a space presses by itself, it does that.
    if (event.key !== " " || event.target.closest("button, summary, a, audio, input")) return;
    event.preventDefault();
    this.doing(this.player.toggle());
  }
}
