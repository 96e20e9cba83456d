// What a job found that only asked which instruments play: no map, but its sound is there to be explained.

import { fileNameOf } from "./command.js";
import { byId, fill, h } from "./dom.js";
import { TEXTS, percent } from "./texts.js";

/**
 * @param {object} job of kind classify, succeeded
 * @param {() => void} onExplain
 * @returns {HTMLElement} its heading
 */
export function showClassified(job, onExplain) {
  const heading = h("h2", { tabindex: "-1" }, TEXTS.whatPlays);
  const rows = job.result.instruments.map((each) => h("li", { class: each.present ? null : "absent" },
    h("div", { class: "instrument" },
      h("span", { class: "name" }, each.instrument), h("span", { class: "number" }, percent(each.probability)),
      h("span", { class: "bar", "aria-hidden": "true" },
        h("span", { class: each.present ? "bar-part" : "bar-part is-absent", style: { width: `${100 * each.probability}%` } })))));
  const place = byId("classified");
  fill(place, heading,
    h("p", { class: "quiet" }, fileNameOf(job)),
    h("p", {}, `${TEXTS.onlyClassified} `, h("button", { type: "button", class: "strong", onclick: onExplain }, TEXTS.explainIt)),
    h("ul", { class: "instruments" }, rows));
  place.hidden = false;
  return heading;
}

export function hideClassified() {
  byId("classified").hidden = true;
}
