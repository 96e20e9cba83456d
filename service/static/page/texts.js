// Every sentence of the page, in one place.

import { hertz, noteName } from "./axes.js";

export const STAGES = {
  queued: "waiting",
  starting: "starting",
  decoding: "reading the recording",
  "rendering stems": "playing each instrument alone",
  classifying: "listening",
  attributing: "asking why",
  proving: "putting it to the test",
  drawing: "drawing",
  planning: "planning",
  rendering: "playing clips",
  training: "training",
};

export const STATUSES = {
  queued: "waiting",
  running: "at work",
  succeeded: "done",
  failed: "failed",
  cancelled: "cancelled",
};

export const SOURCES = {
  original: "Recording",
  kept: "Evidence alone",
  removed: "Without the evidence",
};

export const TEXTS = {
  unreachable: "The service cannot be reached. Is it running?",
  sending: "sending",
  cancelled: "Cancelled.",
  nothing: "No instrument reached its threshold. Choose one below to see what speaks for it and against it.",
  microphoneRefused: "The microphone cannot be used: the browser or its owner does not allow it.",
  recordingEmpty: "The recording came out empty.",
  linkCopied: "Link copied.",
  curlCopied: "Command copied.",
  copyFailed: "The browser does not let the page copy; select the text instead.",
  keyWanted: "This service wants a key.",
  keyWrong: "The service does not take this key.",
  noReferences: "No reference sounds: the model's atlas does not have this channel.",
  remainder: "All other channels together",
  unnamed: "unnamed",
  jobGone: "This job is no longer kept.",
  soundUnplayable: "The browser cannot play this sound.",
  timeline: "Evidence over time",
  for: "for",
  against: "against",
  allItsOwn: "all its own",
  notExplained: "This job has no explanation to show.",
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

/** A probability as a person reads it. */
export function percent(probability) {
  if (probability >= 0.9995) return "> 99.9 %";
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  return `${(100 * probability).toFixed(probability < 0.1 || probability > 0.99 ? 1 : 0)} %`;
}

export function signed(number) {
  return `${number < 0 ? "−" : "+"}${Math.abs(number).toPrecision(2)}`;
}

export function seconds(value) {
  return `${value.toFixed(2)} s`;
}

/** What a cell of the map holds. */
export function reading({ timeS, frequencyHz, levelDb, relevance, share }) {
  const place = `${seconds(timeS)} · ${hertz(frequencyHz)} (${noteName(frequencyHz)}) · ${levelDb.toFixed(0)} dB`;
  if (share !== null) return `${place} · ${percent(share)} is the instrument's`;
  if (relevance === null) return place;
  const side = relevance > 0 ? "speaks for it" : relevance < 0 ? "speaks against it" : "says nothing";
  return `${place} · relevance ${signed(relevance)}: ${side}`;
}

export function mapLabel(instrument, contrast) {
  const what = contrast ? `${instrument} rather than ${contrast}` : instrument;
  return `Spectrogram with the relevance for ${what}. Arrow keys move, plus and minus zoom.`;
}

/** How a job that has not ended fares. */
export function progressLine(event, elapsedS) {
  const { stage, done, total, queue_position: place, left_s: leftS } = event.progress;
  const elapsed = `${elapsedS.toFixed(0)} s`;
  if (event.status === "queued") return place ? `waiting, number ${place} in the queue · ${elapsed}` : `waiting · ${elapsed}`;
  const steps = total > 1 ? `, ${done} of ${total}` : "";
  const left = leftS ? ` · about ${Math.ceil(leftS)} s left` : "";
  return `${STAGES[stage] ?? stage}${steps} · ${elapsed}${left}`;
}

/** What to tell of an error that the service or the network answered with. */
export function problemLines(error) {
  const faults = (error.problem?.errors ?? []).map((fault) => `${fault.field}: ${fault.message}`);
  const title = error.problem?.title ?? (error.constructor.name === "UnreachableError" ? TEXTS.unreachable : "That did not work");
  const detail = error.problem ? [error.message] : error.constructor.name === "UnreachableError" ? [] : [error.message];
  return { title, lines: faults.length ? faults : detail };
}

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

export function rangeNeeded(durationS, longestS) {
  return `The recording lasts ${durationS.toFixed(0)} s; up to ${longestS.toFixed(0)} s can be explained at once. Which part?`;
}

export function conceptLabel(concept) {
  if (concept.remainder) return TEXTS.remainder;
  return concept.name ?? TEXTS.unnamed;
}
