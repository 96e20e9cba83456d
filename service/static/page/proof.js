// How far to trust a map, in words.

import { h } from "./dom.js";
import { PROOF, qualitySentences, warningSentence } from "./proof_texts.js";

/** The measured quality of an explanation: each sentence marked good or poor, then the warnings. */
export function proofOf(explanation) {
  const { warnings } = explanation.quality;
  const sentences = qualitySentences(explanation).map(({ isGood, text }) =>
    h("li", { class: isGood ? "good" : "poor" }, h("span", { class: "mark" }, isGood ? "✓ " : "✗ "),
      h("span", { class: "visually-hidden" }, isGood ? PROOF.good : PROOF.poor), text));
  return [
    warnings.length
      ? h("div", { class: "warning", role: "note" }, h("strong", {}, PROOF.careful),
        h("ul", {}, warnings.map((warning) => h("li", {}, warningSentence(warning)))))
      : null,
    h("ul", { class: "proof" }, sentences),
  ];
}
