// Taking an explanation along: its files, a picture of the view, a link, and the command that makes it again.

import { download, fill, h } from "./dom.js";
import { TEXTS } from "./texts.js";

export class Share {
  /** @param {{view: import("./explanation_view.js").ExplanationView, place: HTMLElement}} options */
  constructor({ view, place }) {
    this.main = view;
    this.place = place;
    this.offer();
  }

  offer() {
    const { job } = this.main;
    const files = pathsOf(job.result);
    const state = h("span", { class: "quiet", role: "status" });
    fill(
      this.place,
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: () => this.#copy(this.link, TEXTS.linkCopied, state) }, "Copy link"),
        h("button", { type: "button", onclick: () => this.#picture() }, "Picture of the map"),
        h("button", { type: "button", onclick: () => this.#copy(this.command, TEXTS.curlCopied, state) }, "Copy command"),
        state),
      h("pre", { class: "command", tabindex: "0", "aria-label": "The command that makes this explanation again" }, this.command),
      h("details", {}, h("summary", {}, `All ${files.length} files`),
        h("ul", { class: "files" }, files.map((path) => h("li", {},
          h("button", { type: "button", class: "link", onclick: () => this.#fetch(path) }, nameOf(path)))))),
    );
  }

  get link() {
    return `${location.origin}/?job=${this.main.job.id}`;
  }

  /** The request in words that a shell understands. */
  get command() {
    const { job } = this.main;
    const key = this.main.api.key ? ` \\\n  -H "Authorization: Bearer $TIMBRESCOPE_KEY"` : "";
    const chosen = this.main.chosen;
    const fields = [`file=@${quoted(job.input?.filename ?? "clip.wav")}`, `model=${job.model.id}`, `method=${job.result.method}`];
    if (chosen) fields.push(quoted(`instruments=${chosen.instrument}`));
    if (this.main.part) fields.push(`start_s=${this.main.part.start_s}`, `duration_s=${this.main.part.duration_s}`);
    return `curl -H 'Prefer: wait=30'${key} \\\n  ${fields.map((field) => `-F ${field}`).join(" ")} \\\n  ${location.origin}/explain`;
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

  /** The map as it is seen, on the page's ground, with its name. */
  #picture() {
    const { view, chosen, job } = this.main;
    const { below } = view;
    const density = window.devicePixelRatio || 1;
    const canvas = h("canvas");
    canvas.width = below.width;
    canvas.height = below.height + 30 * density;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.body);
    context.fillStyle = style.backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = style.color;
    context.font = `${14 * density}px ${style.fontFamily}`;
    context.fillText(`${chosen?.instrument ?? "Spectrogram"} · ${job.input?.filename ?? job.id} · ${job.model.id}`, 8 * density, 20 * density);
    context.drawImage(below, 0, 30 * density);
    canvas.toBlob((blob) => download(blob, `timbrescope-${(chosen?.instrument ?? "spectrogram").toLowerCase().replaceAll(" ", "-")}.png`));
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

/** Quoted for a POSIX shell. */
function quoted(text) {
  return /^[\w.@/=:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

