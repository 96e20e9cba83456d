// The instruments of the answer: the found ones, whose maps can be laid over the spectrogram, and all others.

import { h } from "./dom.js";
import { TEXTS, notFound, percent, whyNot } from "./texts.js";

const WIDE = 900; // pixels, as in page.css

/**
 * @param {object} result of an explain job
 * @param {{onChoose: (instrument: string) => void, onWhyNot: (instrument: string) => void}} options
 * @returns {{element: HTMLElement, mark: (instrument: string | null) => void}}
 */
export function instrumentList(result, { onChoose, onWhyNot }) {
  const explained = new Set(result.explanations.map((each) => each.instrument));
  const buttons = new Map();
  const rows = result.instruments.map((each) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" },
      h("span", { class: each.present ? "bar-part" : "bar-part is-absent", style: { width: `${100 * each.probability}%` } }));
    const words = [h("span", { class: "name" }, each.instrument), h("span", { class: "number" }, percent(each.probability)), bar];
    if (explained.has(each.instrument)) {
      const button = h("button", { type: "button", class: "instrument", "aria-pressed": "false",
        onclick: () => onChoose(each.instrument) }, words);
      buttons.set(each.instrument, button);
      return h("li", {}, button);
    }
    return h("li", { class: "absent" }, h("div", { class: "instrument" }, words),
      h("button", { type: "button", class: "small", "aria-label": whyNot(each.instrument),
        onclick: () => onWhyNot(each.instrument) }, TEXTS.whyNot));
  });
  const found = rows.filter((row) => !row.classList.contains("absent"));
  const absent = rows.filter((row) => row.classList.contains("absent"));
  return {
    element: h("div", {}, h("ul", { class: "instruments" }, found),
      // Where there is little room, the map comes first.
      absent.length ? h("details", { class: "others", open: innerWidth >= WIDE || found.length === 0 },
        h("summary", {}, notFound(absent.length)), h("ul", { class: "instruments" }, absent)) : null),
    mark: (instrument) => {
      for (const [name, button] of buttons) button.setAttribute("aria-pressed", String(name === instrument));
    },
  };
}
