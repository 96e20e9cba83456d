// How a job fares, for eyes by the second; a screen reader hears of a new stage alone.

import { say } from "./announce.js";
import { TEXTS, progressLine, stageWords } from "./texts.js";

const TICK_MS = 250;

export class ProgressLine {
  #event = null;
  #isLost = false;
  #stage = "";

  /**
   * @param {{element: HTMLElement, bar?: HTMLProgressElement | null, signal: AbortSignal, beganMs?: number,
   *   words?: string}} options `words` stand there until the first event; when `signal` aborts, all is over
   */
  constructor({ element, bar = null, signal, beganMs = Date.now(), words = TEXTS.sending }) {
    this.element = element;
    this.bar = bar;
    this.beganMs = beganMs;
    this.words = words;
    this.stop = () => {
      clearInterval(this.timer);
      signal.removeEventListener("abort", this.stop);
    };
    this.timer = setInterval(() => this.#show(), TICK_MS);
    signal.addEventListener("abort", this.stop, { once: true });
    this.#show();
    this.#speak(words);
  }

  /** @param {object} event of the job */
  onEvent(event) {
    this.#event = event;
    this.#isLost = false;
    this.#show();
    this.#speak(stageWords(event));
  }

  /** @param {Error | null} error that is waited for; null when it is over */
  onTrouble(error) {
    this.#isLost = error !== null;
    this.#show();
    if (error) this.#speak(TEXTS.connectionLost);
  }

  #speak(words) {
    if (words === this.#stage) return;
    this.#stage = words;
    say(words);
  }

  #show() {
    const elapsedS = Math.max(0, (Date.now() - this.beganMs) / 1_000);
    this.element.textContent = this.#event && !this.#isLost
      ? progressLine(this.#event, elapsedS)
      : `${this.#isLost ? TEXTS.connectionLost : this.words} · ${elapsedS.toFixed(0)} s`;
    if (!this.bar) return;
    const { done = 0, total = 0 } = this.#event?.progress ?? {};
    if (total > 0) Object.assign(this.bar, { max: total, value: done });
    else this.bar.removeAttribute("value");
  }
}
