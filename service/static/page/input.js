// How a recording comes in: dropped, chosen, from the microphone, or one of the examples.

import { h, byId, fill } from "./dom.js";
import { TEXTS, rangeNeeded } from "./texts.js";
import { Recorder } from "./wav.js";

const EXAMPLES = "/static/examples/examples.json";

export class Input {
  #recorder = new Recorder();
  #timer = null;

  /** @param {{onSound: (sound: File) => void, onFault: (text: string) => void}} options */
  constructor({ onSound, onFault }) {
    this.onSound = onSound;
    this.onFault = onFault;
    this.#listen();
    this.#showExamples();
  }

  /** Which model is to be asked. */
  get model() {
    return /** @type {HTMLSelectElement} */ (byId("model")).value;
  }

  showModels(models) {
    fill(byId("model"), models.map((model) => h("option", { value: model.id, selected: model.default }, model.id)));
    byId("model-choice").hidden = models.length < 2;
  }

  /**
   * Asks which part of a long recording is meant; resolves with the fields to send, or null when it is left or no
   * longer asked for.
   */
  askForRange(durationS, longestS, signal) {
    const form = byId("range");
    byId("range-text").textContent = rangeNeeded(durationS, longestS);
    const start = byId("range-start");
    const duration = byId("range-duration");
    start.max = String(Math.floor(durationS));
    start.value = "0";
    duration.max = duration.value = String(longestS);
    form.hidden = false;
    start.focus();
    return new Promise((resolve) => {
      const end = (answer) => {
        signal.removeEventListener("abort", leave);
        form.hidden = true;
        resolve(answer);
      };
      const leave = () => end(null);
      signal.addEventListener("abort", leave, { once: true });
      form.onsubmit = (event) => {
        event.preventDefault();
        end({ start_s: start.value, duration_s: duration.value });
      };
      byId("range-cancel").onclick = leave;
    });
  }

  #listen() {
    const file = /** @type {HTMLInputElement} */ (byId("file"));
    byId("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files.length) this.onSound(file.files[0]);
      file.value = "";
    });
    const drop = byId("drop");
    let depth = 0; // entering a child leaves its parent
    const show = () => drop.classList.toggle("is-over", depth > 0);
    document.addEventListener("dragenter", () => { depth += 1; show(); });
    document.addEventListener("dragleave", () => { depth -= 1; show(); });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      depth = 0;
      show();
      const dropped = event.dataTransfer?.files ?? [];
      if (dropped.length) this.onSound(dropped[0]);
    });
    byId("record").addEventListener("click", () => this.#record());
  }

  async #record() {
    const button = byId("record");
    try {
      if (!this.#recorder.isRecording) {
        await this.#recorder.start();
        const began = performance.now();
        const tell = () => {
          button.textContent = `Stop recording (${((performance.now() - began) / 1000).toFixed(0)} s)`;
        };
        tell();
        this.#timer = setInterval(tell, 500);
        button.setAttribute("aria-pressed", "true");
        return;
      }
      clearInterval(this.#timer);
      button.textContent = "Record";
      button.setAttribute("aria-pressed", "false");
      const sound = await this.#recorder.stop();
      if (sound.size > 44) this.onSound(sound);
      else this.onFault(TEXTS.recordingEmpty);
    } catch (error) {
      this.onFault(error.name === "NotAllowedError" || error.name === "NotFoundError" ? TEXTS.microphoneRefused : error.message);
    }
  }

  async #showExamples() {
    const { examples } = await (await fetch(EXAMPLES)).json();
    const choice = /** @type {HTMLSelectElement} */ (byId("example"));
    choice.append(...examples.map((example, i) => h("option", { value: i }, example.title)));
    byId("try").addEventListener("click", async () => {
      const { file } = examples[choice.value];
      const data = await (await fetch(`/static/examples/${file}`)).blob();
      this.onSound(new File([data], file, { type: "audio/midi" }));
    });
  }
}
