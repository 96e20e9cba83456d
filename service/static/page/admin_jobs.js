// The list of data sets and trainings. It is asked for now and then; only the training that is looked at has a
// stream of its own, since a browser keeps no more than six connections to a service, and the page needs some.

import { isEnded } from "./api.js";
import { say } from "./announce.js";
import { AdminRow } from "./admin_row.js";
import { fill, h } from "./dom.js";
import { pause } from "./patience.js";
import { isPassing } from "./problems.js";
import { STATUSES, TEXTS } from "./texts.js";

const PATH = "/jobs?limit=50&kind=dataset&kind=training";
const BUSY_MS = 2_000; // between two looks while something is at work
const QUIET_MS = 15_000;

export class AdminJobs {
  #rows = new Map(); // by job
  #following = null;

  /**
   * @param {{api: import("./api.js").Api, place: HTMLElement, onJobs: (jobs: object[]) => void,
   *   onModel: () => void, onFault: (error: Error, about?: {isPassing: boolean}) => void}} options
   *   `onJobs` is told what there is, `onModel` that a training has made a model; a fault that is passing is tried
   *   again
   */
  constructor({ api, place, onJobs, onModel, onFault }) {
    Object.assign(this, { api, place, onJobs, onModel, onFault });
  }

  /** Lists what there is and goes on doing so until `stop`; a training that was just ordered is opened. */
  async follow(ordered = null) {
    this.#following?.abort();
    const following = new AbortController();
    this.#following = following;
    await this.#look(following.signal);
    const row = this.#rows.get(ordered?.id);
    row?.open();
    if (row) say(`${row.name}: ${STATUSES[row.job.status]}`);
    this.#goOn(following.signal);
  }

  stop() {
    this.#following?.abort();
    for (const row of this.#rows.values()) row.close();
  }

  async #goOn(signal) {
    while (!signal.aborted) {
      const isBusy = [...this.#rows.values()].some((row) => !isEnded(row.job.status));
      try {
        await pause(isBusy ? BUSY_MS : QUIET_MS, signal);
        await this.#look(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.onFault(error, { isPassing: isPassing(error) });
        if (!isPassing(error)) return;
      }
    }
  }

  async #look(signal) {
    const { jobs } = await this.api.json(PATH, { signal });
    if (signal.aborted) return;
    const known = this.#rows;
    this.#rows = new Map(jobs.map((job) => [job.id, known.get(job.id) ?? this.#row(job)]));
    for (const [id, row] of known) if (!this.#rows.has(id)) row.close();
    for (const job of jobs) this.#rows.get(job.id).show(job);
    const elements = [...this.#rows.values()].map((row) => row.element);
    // A row that stays where it is keeps the focus and what is open in it.
    if (elements.length === 0) fill(this.place, h("li", { class: "quiet" }, TEXTS.noneYet));
    else if (elements.some((element, i) => element !== this.place.children[i])) fill(this.place, elements);
    this.onJobs(jobs);
  }

  #row(job) {
    return new AdminRow(job, {
      api: this.api,
      onCancel: () => this.#cancel(job),
      onEnd: (row) => this.#ended(row),
      onFault: this.onFault,
      onOpen: (opened) => { for (const row of this.#rows.values()) if (row !== opened) row.close(); },
    });
  }

  #ended(row) {
    say(`${row.name}: ${STATUSES[row.job.status]}`);
    if (row.job.kind === "training" && row.job.status === "succeeded") this.onModel();
  }

  async #cancel(job) {
    try {
      await this.api.json(job.links.self, { method: "DELETE" });
      await this.follow();
    } catch (error) {
      this.onFault(error);
    }
  }
}
