// For who has an admin key: data sets and trainings, ordered here and followed as they are made.

import { AdminJobs } from "./admin_jobs.js";
import { byId, fill, h } from "./dom.js";
import { askForKey } from "./key_dialog.js";
import { TEXTS, problemLines } from "./texts.js";

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
  #isLost = false; // whether the fault that is shown goes by itself

  /**
   * @param {import("./api.js").Api} api
   * @param {{onModelsChanged?: () => void}} options `onModelsChanged` is called when a training has made a model
   */
  constructor(api, { onModelsChanged = () => {} } = {}) {
    this.api = api;
    this.jobs = new AdminJobs({
      api,
      place: byId("admin-jobs"),
      onJobs: (jobs) => this.#show(jobs),
      onModel: onModelsChanged,
      onFault: (error, about) => this.#tell(error, about),
    });
    byId("recipe").value = EXAMPLE_RECIPE;
    byId("config").value = EXAMPLE_CONFIG;
    byId("admin").addEventListener("toggle", () => {
      if (byId("admin").open) this.#do(() => this.#begin());
      else this.jobs.stop();
    });
    this.#offerDatasets([]);
    this.#orders("dataset-form", "/datasets", () => ({ recipe: json("recipe") }));
    this.#orders("training-form", "/trainings", () => ({
      dataset: byId("training-dataset").value,
      model_id: byId("training-model").value,
      config: json("config"),
    }));
  }

  async #begin() {
    if (!this.api.key) await askForKey(this.api, {}); // without one there is nothing to see here
    await this.jobs.follow();
  }

  /** What is sent with a form goes to a path of the API; what comes of it is looked at at once. */
  #orders(form, path, bodyOf) {
    byId(form).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(async () => {
        const body = JSON.stringify(bodyOf());
        const headers = { "Content-Type": "application/json" };
        const job = await this.api.json(path, { method: "POST", body, headers });
        await this.jobs.follow(job);
      });
    });
  }

  #show(jobs) {
    this.#offerDatasets(jobs);
    if (this.#isLost) byId("admin-fault").textContent = "";
    this.#isLost = false;
  }

  /** The data sets that a model can be trained on. */
  #offerDatasets(jobs) {
    const choice = byId("training-dataset");
    const finished = jobs.filter((job) => job.kind === "dataset" && job.status === "succeeded");
    const known = finished.map((job) => job.id).join();
    if (choice.dataset.known === known) return; // nobody's choice is lost for nothing
    const chosen = choice.value;
    choice.dataset.known = known;
    fill(choice, finished.length
      ? finished.map((job) => h("option", { value: job.id, selected: job.id === chosen }, `${job.order.recipe.name} (${job.order.url})`))
      : h("option", { value: "" }, TEXTS.datasetFirst));
    choice.disabled = byId("training-order").disabled = finished.length === 0;
  }

  async #do(work) {
    byId("admin-fault").textContent = "";
    try {
      await work();
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell(error, { isPassing = false } = {}) {
    if (error.name === "AbortError") return;
    const { title, lines } = problemLines(error);
    this.#isLost = isPassing;
    byId("admin-fault").textContent = error.status === 403 ? TEXTS.keyNotAdmin : [title, ...lines].join(" ");
  }
}

/** What a field says as JSON. */
function json(id) {
  try {
    return JSON.parse(byId(id).value);
  } catch (error) {
    throw new Error(`${TEXTS.notJson} ${error.message}`);
  }
}
