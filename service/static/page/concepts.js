// The concepts of an explanation: what part of a map came through which channel, and what that channel listens to.

import { h, fill } from "./dom.js";
import { ProblemError } from "./api.js";
import { pitchName } from "./axes.js";
import { patiently } from "./patience.js";
import { TEXTS, conceptFacts, conceptLabel, conceptShare, momentOf, pictureOf } from "./texts.js";

const MOST_REFERENCES = 6;

/**
 * Cards of an explanation's concepts.
 * @param {object} explanation
 * @param {{api: import("./api.js").Api, onPreview: (concept: object | null) => void}} options
 *   `onPreview` is called with the concept whose map is to be shown, and with null when it no longer is.
 */
export function conceptCards(explanation, { api, onPreview }) {
  return h("ul", { class: "cards" }, explanation.concepts.map((concept) => card(concept, api, onPreview)));
}

function card(concept, api, onPreview) {
  const side = concept.share < 0 ? "against" : "for";
  const opened = h("div", { class: "references", hidden: true });
  const isNamed = Boolean(concept.name);
  const toggle = h("button", {
    type: "button", class: "small", "aria-expanded": "false",
    onclick: async () => {
      opened.hidden = !opened.hidden;
      toggle.setAttribute("aria-expanded", String(!opened.hidden));
      if (!opened.hidden && !opened.hasChildNodes()) await showReferences(opened, concept, api);
    },
  }, TEXTS.listensTo);
  return h("li", {
    class: "card", tabindex: "0",
    "aria-label": `${conceptLabel(concept)}, ${conceptShare(concept)}`,
    onmouseenter: () => onPreview(concept), onmouseleave: () => onPreview(null),
    onfocusin: () => onPreview(concept), onfocusout: () => onPreview(null),
  },
  h("div", { class: isNamed ? "concept-name" : "concept-name is-unnamed" }, conceptLabel(concept)),
  h("div", { class: "bar", "aria-hidden": "true" },
    h("span", { class: `bar-part is-${side}`, style: { width: `${100 * Math.min(1, Math.abs(concept.share))}%` } })),
  h("div", { class: "card-facts" }, conceptFacts(concept)),
  concept.links?.concept ? toggle : null,
  opened);
}

async function showReferences(element, concept, api) {
  fill(element, h("p", { class: "quiet" }, "…"));
  try {
    const known = await api.json(concept.links.concept);
    fill(element, known.references.slice(0, MOST_REFERENCES).map((reference) => referenceOf(reference, api)));
    if (!known.references.length) fill(element, h("p", { class: "quiet" }, TEXTS.noReferences));
  } catch (error) {
    fill(element, h("p", { class: "quiet" }, error instanceof ProblemError && error.status === 404 ? TEXTS.noReferences : error.message));
  }
}

function referenceOf(reference, api) {
  const notes = reference.notes.filter((note) => note.instrument === reference.instrument).map((note) => pitchName(note.pitch));
  const words = `${reference.instrument}${notes.length ? ` ${[...new Set(notes)].join(" ")}` : ""}`;
  const picture = h("img", { class: "reference-picture", alt: pictureOf(words), hidden: true });
  const audio = h("audio", { controls: true, hidden: true });
  const button = h("button", {
    type: "button", class: "small",
    onclick: async () => {
      button.disabled = true;
      try {
        audio.src = await patiently(() => api.url(reference.wav));
        picture.src = await patiently(() => api.url(reference.png));
        audio.hidden = picture.hidden = false;
        button.replaceWith(h("strong", {}, words));
        await audio.play();
      } catch (error) {
        button.disabled = false;
        button.after(h("p", { class: "quiet" }, error.message));
      }
    },
  }, `▶ ${words}`);
  return h("div", { class: "reference" }, button, h("span", { class: "quiet" }, momentOf(reference)), audio, picture);
}
