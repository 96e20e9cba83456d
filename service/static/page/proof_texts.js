// What is said of how far a map is to be trusted.

import { percent } from "./texts.js";

export const PROOF = {
  careful: "Read this map with care.",
  good: "Good: ",
  poor: "Poor: ",
};

const WARNINGS = {
  "not-found": "It was not found. The map weighs what speaks for it against what speaks against it.",
  "conservation-gap": "Much of the decision was lost on its way down to the map, or made there.",
  "maps-alike": "Another instrument's map looks much the same, so this one may show the clip rather than the instrument.",
  "low-deletion-gain": "Deleting what the map points at hurts hardly more than deleting anything else.",
  "kept-loses-label": "In the evidence alone the model does not hear the instrument.",
  "removed-keeps-label": "Without the evidence the model still hears the instrument.",
  "shapley-left-out": "Too many stems, or too long a part, to try all their mixes.",
};

/** The quality of an explanation in sentences: what was measured, and whether it is good. */
export function qualitySentences(explanation) {
  const { instrument, quality } = explanation;
  const found = [];
  const say = (isGood, text) => found.push({ isGood, text });
  const { truth, deletion, conservation } = quality;
  if (truth) {
    if (truth.energy_share > 0 && truth.mass_accuracy !== null) {
      const times = truth.mass_accuracy / truth.energy_share;
      const owned = `${percent(truth.mass_accuracy)} of the evidence lies on what is truly the ${instrument}'s`;
      say(
        truth.mass_accuracy > truth.energy_share,
        truth.energy_share > 0.95
          ? `${owned}, which makes nearly all of the sound.`
          : `${owned}, ${times.toFixed(1)} times more than its loudness explains (${percent(truth.energy_share)}).`,
      );
    }
    say(truth.pointing, truth.pointing
      ? `The strongest cell of the map belongs to the ${instrument}.`
      : `The strongest cell of the map does not belong to the ${instrument}.`);
    say(truth.own_stem, truth.own_stem
      ? `Of all that plays, the ${instrument} has the largest part of the map.`
      : `Something else than the ${instrument} has the largest part of the map.`);
  }
  if (deletion && deletion.gain !== null) {
    say(deletion.gain >= 1.5, `Deleting the tenth that the map points at hurts the decision ${deletion.gain.toFixed(1)} times as much as deleting a tenth at random.`);
  }
  if (quality.probability_kept !== null && quality.probability_kept !== undefined) {
    say(quality.probability_kept >= 0.5, `In the evidence alone the model hears the ${instrument} with ${percent(quality.probability_kept)}.`);
    say(quality.probability_removed <= explanation.probability / 2, `Without the evidence ${percent(quality.probability_removed)} are left of ${percent(explanation.probability)}.`);
  }
  if (conservation) {
    say(Math.abs(conservation.gap) < 1, `${percent(Math.max(0, 1 - Math.abs(conservation.gap)))} of the decision arrived in the map.`);
  }
  if (quality.most_alike) {
    say(quality.most_alike.similarity < 0.4, `The map most like this one is that of the ${quality.most_alike.instrument} (${percent(quality.most_alike.similarity)} alike).`);
  }
  return found;
}

export function warningSentence(warning) {
  return WARNINGS[warning.code] ?? warning.detail;
}
