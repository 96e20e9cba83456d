// Taking an explanation along: its files, a picture of the view, a link, and the command that makes it again.

import { curlCommand, fileNameOf } from "./command.js";
import { byId, download, fill, h } from "./dom.js";
import { exampleOf } from "./examples.js";
import { composed } from "./picture.js";
import { TEXTS, allFiles, mapTitle } from "./texts.js";

export class Share {
  #example = null;

  /** @param {{view: import("./explanation_view.js").ExplanationView, place: HTMLElement}} options */
  constructor({ view, place }) {
    this.main = view;
    this.place = place;
    this.offer();
    this.#findExample(view.job);
  }

  /** What can be taken along of what is looked at now. */
  offer() {
    const { job } = this.main;
    const files = pathsOf(job.result);
    const state = h("span", { class: "quiet", role: "status" });
    const button = (words, onclick) => h("button", { type: "button", onclick }, words);
    fill(
      this.place,
      h("div", { class: "buttons" },
        button(TEXTS.copyLink, () => this.#copy(this.link, TEXTS.linkCopied, state)),
        button(TEXTS.picture, () => this.#picture()),
        button(TEXTS.copyCommand, () => this.#copy(this.command, TEXTS.curlCopied, state)),
        state),
      h("pre", { class: "command", tabindex: "0", "aria-label": TEXTS.command }, this.command),
      h("details", {}, h("summary", {}, allFiles(files.length)),
        h("ul", { class: "files" }, files.map((path) => h("li", {},
          h("button", { type: "button", class: "link", onclick: () => this.#fetch(path) }, nameOf(path)))))),
    );
  }

  get link() {
    return `${location.origin}/?job=${this.main.job.id}`;
  }

  get command() {
    const { job, chosen, part, api } = this.main;
    const layer = this.main.models().find((model) => model.id === job.model.id)?.layers.at(-1);
    return curlCommand({ job, chosen, part }, { origin: location.origin, hasKey: Boolean(api.key), example: this.#example, layer });
  }

  async #findExample(job) {
    try {
      this.#example = await exampleOf(job);
    } catch {
      return; // then the command names the file as it is called
    }
    if (this.#example && this.main.job === job) this.place.querySelector(".command").textContent = this.command;
  }

  async #copy(text, words, state) {
    try {
      await navigator.clipboard.writeText(text);
      state.textContent = words;
    } catch {
      state.textContent = TEXTS.copyFailed;
    }
  }

  async #fetch(path) {
    try {
      download(await this.main.api.blob(path), nameOf(path));
    } catch (error) {
      this.main.onFault(error);
    }
  }

  /** The maps as they are seen, with their names. */
  #picture() {
    const { view, timeline, beside, chosen, job } = this.main;
    const columns = [{ title: mapTitle(chosen), parts: [view, timeline] }];
    if (beside?.view) columns.push({ title: byId("beside-place").querySelector("h3").textContent, parts: [beside.view] });
    const heading = [fileNameOf(job), job.model.id, job.result.method].join(" · ");
    const name = (chosen?.instrument ?? "spectrogram").toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-");
    composed({ heading, columns }).toBlob((blob) => download(blob, `timbrescope-${name}.png`));
  }
}

/** Every file that a result links to, once. */
function pathsOf(result) {
  const found = new Set();
  const visit = (value) => {
    if (typeof value === "string") {
      if (value.includes("/artifacts/")) found.add(value);
    } else if (value && typeof value === "object") Object.values(value).forEach(visit);
  };
  visit(result);
  return [...found];
}

function nameOf(path) {
  return decodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
}
