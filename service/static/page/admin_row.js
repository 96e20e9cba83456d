// One data set or training of the list: how it fares and, of a training that is opened, its curves.

import { isEnded } from "./api.js";
import { curves } from "./curves.js";
import { fill, h } from "./dom.js";
import { STATUSES, TEXTS, adminName, progressLine } from "./texts.js";

export class AdminRow {
  #stopping = null;
  #parts;

  /**
   * @param {object} job as the list has it
   * @param {{api: import("./api.js").Api, onCancel: () => void, onEnd: (row: AdminRow) => void,
   *   onFault: (error: Error) => void, onOpen: (row: AdminRow) => void}} options
   *   `onEnd` is called when a job that was seen at work has ended
   */
  constructor(job, options) {
    this.job = job;
    this.name = adminName(job);
    this.options = options;
    const state = h("span", { class: "quiet" });
    const bar = h("progress", { "aria-label": `${this.name}: ${TEXTS.done}` });
    const cancel = h("button", { type: "button", class: "small", "aria-label": `${TEXTS.cancel} ${this.name}`,
      onclick: options.onCancel }, TEXTS.cancel);
    const plot = h("div", { class: "curves" });
    const details = job.kind !== "training" ? null
      : h("details", { ontoggle: () => this.#toggled() }, h("summary", {}, TEXTS.curves), plot);
    this.#parts = { state, bar, cancel, plot, details };
    this.element = h("li", { class: "admin-job" }, h("strong", {}, this.name), " ", state, " ", cancel, bar, details);
    this.show(job);
  }

  /** Shows the job as it is now; what comes late, of a time before its end, is passed over. */
  show(job) {
    if (isEnded(this.job.status) && !isEnded(job.status)) return;
    const hasEnded = isEnded(job.status) && !isEnded(this.job.status);
    this.job = job;
    const { state, bar, cancel } = this.#parts;
    const { done, total } = job.progress;
    bar.hidden = cancel.hidden = isEnded(job.status);
    if (total) Object.assign(bar, { max: total, value: done });
    const beganMs = Date.parse(job.started_at ?? job.created_at);
    state.textContent = job.error ? `${STATUSES.failed}: ${job.error.detail}`
      : isEnded(job.status) ? STATUSES[job.status] : progressLine(job, (Date.now() - beganMs) / 1000);
    if (hasEnded) this.options.onEnd(this);
  }

  /** Shows the curves. */
  open() {
    if (this.#parts.details) this.#parts.details.open = true;
  }

  close() {
    this.#stopping?.abort();
    if (this.#parts.details) this.#parts.details.open = false;
  }

  #toggled() {
    this.#stopping?.abort();
    if (!this.#parts.details.open) return;
    this.#stopping = new AbortController();
    this.options.onOpen(this);
    this.#follow(this.#stopping.signal).catch((error) => {
      if (error.name !== "AbortError") this.options.onFault(error);
    });
  }

  /** Draws the epochs as they come; those of a training that has ended come at once. */
  async #follow(signal) {
    const epochs = new Map();
    fill(this.#parts.plot, h("p", { class: "quiet" }, TEXTS.noEpochs));
    for await (const event of this.options.api.events(this.job.links.events, signal)) {
      const { metrics } = event.progress;
      if (metrics) {
        epochs.set(metrics.epoch, metrics);
        fill(this.#parts.plot, curves([...epochs.values()]));
      }
      this.show({ ...this.job, status: event.status, progress: event.progress });
    }
  }
}
