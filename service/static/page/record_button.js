// The button that records: pressed once it opens the microphone, pressed again it sends what was recorded.

import { say } from "./announce.js";
import { byId } from "./dom.js";
import { MicrophoneError, Recording } from "./recorder.js";
import { TEXTS } from "./texts.js";

const CLOCK_MS = 500;

export class RecordButton {
  #recording = null; // from the first press until the microphone is closed
  #clock = null;
  #isBusy = false; // while the microphone is being opened or closed

  /** @param {{onSound: (sound: File) => void, onFault: (text: string) => void}} options */
  constructor({ onSound, onFault }) {
    this.onSound = onSound;
    this.onFault = onFault;
    this.button = /** @type {HTMLButtonElement} */ (byId("record"));
    this.button.addEventListener("click", () => {
      if (!this.#isBusy) this.#recording ? this.#stop() : this.#start();
    });
  }

  /** Gives up the recording that is being made, if there is one. */
  cancel() {
    this.#recording?.cancel();
    this.#show(null);
  }

  async #start() {
    const recording = new Recording();
    this.#recording = recording;
    this.#setBusy(true); // a second press would open the microphone twice
    try {
      await recording.start();
    } catch (error) {
      if (this.#recording !== recording) return;
      this.#show(null);
      this.onFault(error instanceof MicrophoneError ? error.message : TEXTS.recordingFailed);
      return;
    }
    if (this.#recording !== recording) return;
    this.#show(recording);
    say(TEXTS.recording);
    await recording.over;
    if (this.#recording === recording && !this.#isBusy) await this.#stop();
  }

  async #stop() {
    const recording = this.#recording;
    this.#setBusy(true);
    const sound = await recording.stop();
    if (this.#recording !== recording) return; // a file was dropped meanwhile
    this.#show(null);
    if (sound) this.onSound(sound);
    else this.onFault(TEXTS.recordingEmpty);
  }

  /** The button keeps its focus meanwhile, which a disabled one would lose. */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.button.setAttribute("aria-disabled", String(isBusy));
  }

  /** Shows a recording that has begun; null when there is none. */
  #show(recording) {
    this.#recording = recording;
    this.#setBusy(false);
    clearInterval(this.#clock);
    const time = byId("record-time");
    time.hidden = recording === null;
    this.button.textContent = recording ? TEXTS.stopRecording : TEXTS.record;
    if (!recording) return;
    const began = performance.now();
    const tell = () => { time.textContent = `${((performance.now() - began) / 1000).toFixed(0)} s`; };
    tell();
    this.#clock = setInterval(tell, CLOCK_MS);
  }
}
