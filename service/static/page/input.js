// How a recording comes in: dropped, chosen, from the microphone, or one of the examples.

import { h, byId, fill } from "./dom.js";
import { knownExamples, pathOfExample } from "./examples.js";
import { RecordButton } from "./record_button.js";
import { TEXTS, rangeNeeded } from "./texts.js";

export class Input {
  #record;

  /** @param {{onSound: (sound: File) => void, onFault: (text: string) => void}} options */
  constructor({ onSound, onFault }) {
    this.onSound = onSound;
    this.onFault = onFault;
    this.#record = new RecordButton({ onSound, onFault });
    this.#listen();
    this.#showExamples();
  }

  /** Which model is to be asked. */
  get model() {
    return /** @type {HTMLSelectElement} */ (byId("model")).value;
  }

  /** Offers these models; one that was chosen before stays so, as long as it is there. */
  showModels(models) {
    const kept = models.find((model) => model.id === this.model);
    fill(byId("model"), models.map((model) => h("option", {
      value: model.id, selected: kept ? model === kept : model.default,
    }, model.id)));
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
      if (file.files.length) this.#take(file.files[0]);
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
      if (dropped.length) this.#take(dropped[0]);
    });
  }

  /** What was chosen in place of a recording ends that. */
  #take(sound) {
    this.#record.cancel();
    this.onSound(sound);
  }

  async #showExamples() {
    let examples = [];
    try {
      examples = await knownExamples();
    } catch {
      this.onFault(TEXTS.exampleMissing);
    }
    const choice = /** @type {HTMLSelectElement} */ (byId("example"));
    choice.append(...examples.map((example, i) => h("option", { value: i }, example.title)));
    byId("try").addEventListener("click", async () => {
      const { file } = examples[choice.value];
      try {
        const answer = await fetch(pathOfExample(file));
        if (!answer.ok) throw new Error(TEXTS.exampleMissing);
        this.#take(new File([await answer.blob()], file, { type: "audio/midi" }));
      } catch {
        this.onFault(TEXTS.exampleMissing);
      }
    });
  }
}
