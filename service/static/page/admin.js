// For who has an admin key: data sets and trainings, ordered here and followed as they are made.

import { byId, fill, h } from "./dom.js";
import { isEnded } from "./api.js";
import { curves } from "./curves.js";
import { askForKey } from "./key_dialog.js";
import { STATUSES, problemLines, progressLine } from "./texts.js";

const KINDS = ["dataset", "training"];
const EXAMPLE_RECIPE = `{
  "name": "winds",
  "n_clips": 1000,
  "instruments": [
    "Trumpet",
    {"name": "Flute", "program": 73, "pitch_range": [60, 96]},
    {"name": "Tuba", "program": 58, "pitch_range": [28, 58]}
  ],
  "instruments_per_clip": [1, 2]
}`;
const EXAMPLE_CONFIG = `{"network": "default", "n_epochs": 10}`;

export class Admin {
  #followed = new Map();

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    byId("recipe").value = EXAMPLE_RECIPE;
    byId("config").value = EXAMPLE_CONFIG;
    byId("admin").addEventListener("toggle", () => {
      if (byId("admin").open) this.#do(this.refresh());
      else this.#stop();
    });
    byId("dataset-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(this.#order("/datasets", () => ({ recipe: JSON.parse(byId("recipe").value) })));
    });
    byId("training-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(this.#order("/trainings", () => ({
        dataset: byId("training-dataset").value,
        model_id: byId("training-model").value,
        config: JSON.parse(byId("config").value),
      })));
    });
  }

  /** Lists the data sets and trainings that there are, and follows those that are at work. */
  async refresh() {
    this.#stop();
    if (!this.api.key) await askForKey(this.api, {}); // without one there is nothing to see here
    const query = KINDS.map((kind) => `kind=${kind}`).join("&");
    const { jobs } = await this.api.json(`/jobs?limit=50&${query}`);
    fill(byId("admin-jobs"), jobs.length ? jobs.map((job) => this.#row(job)) : h("li", { class: "quiet" }, "None yet."));
    const finished = jobs.filter((job) => job.kind === "dataset" && job.status === "succeeded");
    fill(byId("training-dataset"), finished.map((job) => h("option", { value: job.id }, `${job.order.recipe.name} (${job.order.url})`)));
    byId("training-order").disabled = finished.length === 0;
    byId("admin-fault").textContent = "";
  }

  async #order(path, bodyOf) {
    const body = JSON.stringify(bodyOf());
    await this.api.json(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    await this.refresh();
  }

  #row(job) {
    const name = job.kind === "dataset" ? `Data set ${job.order.recipe.name}` : `Training ${job.order.model_id}`;
    const state = h("span", { class: "quiet", role: "status" }, STATUSES[job.status]);
    const bar = h("progress", { "aria-label": `${name}: done`, hidden: isEnded(job.status) });
    const cancel = h("button", { type: "button", class: "small", hidden: isEnded(job.status),
      onclick: () => this.#do(this.#cancel(job)) }, "Cancel");
    const plot = h("div", { class: "curves" });
    const row = h("li", { class: "admin-job" }, h("strong", {}, name), " ", state, " ", cancel, bar, plot);
    if (job.error) state.textContent = `${STATUSES.failed}: ${job.error.detail}`;
    if (job.kind === "training" || !isEnded(job.status)) this.#do(this.#follow(job, { state, bar, cancel, plot }));
    return row;
  }

  /** Shows a job's events as they come; of a training that has ended, its epochs. */
  async #follow(job, { state, bar, cancel, plot }) {
    const stopping = new AbortController();
    this.#followed.set(job.id, stopping);
    const epochs = new Map();
    const began = Date.parse(job.started_at ?? job.created_at);
    try {
      for await (const event of this.api.events(job.links.events, stopping.signal)) {
        const { metrics, done, total } = event.progress;
        if (metrics) {
          epochs.set(metrics.epoch, metrics);
          fill(plot, curves([...epochs.values()]));
        }
        bar.hidden = cancel.hidden = isEnded(event.status);
        if (total) Object.assign(bar, { max: total, value: done });
        state.textContent = isEnded(event.status) ? STATUSES[event.status] : progressLine(event, (Date.now() - began) / 1000);
      }
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  async #cancel(job) {
    await this.api.json(job.links.self, { method: "DELETE" });
    await this.refresh();
  }

  #stop() {
    for (const stopping of this.#followed.values()) stopping.abort();
    this.#followed.clear();
  }

  async #do(promise) {
    try {
      await promise;
    } catch (error) {
      const { title, lines } = problemLines(error);
      byId("admin-fault").textContent = [title, ...lines].join(" ");
    }
  }
}
