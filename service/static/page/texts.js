// What the page says, in one place; how far a map is to be trusted is said in `proof_texts.js`.

import { hertz, noteName } from "./axes.js";

export const STAGES = {
  queued: "waiting",
  starting: "starting",
  decoding: "reading the recording",
  "rendering stems": "playing each instrument alone",
  classifying: "listening",
  attributing: "asking why",
  checking: "putting it to the test",
  drawing: "drawing",
  planning: "planning",
  rendering: "playing clips",
  training: "training",
  finishing: "making a model of it",
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

export const CURVES = {
  train_loss: "loss in training",
  validation_loss: "loss on the validation part",
  macro_f1: "macro-F1",
};

export const FILE_FAULTS = {
  notNpz: "This is not an NPZ file.",
  damaged: "The NPZ file's directory is damaged.",
  packing: (method) => `An NPZ file packed by method ${method} is not read.`,
  kind: (kind) => `An array of ${kind} is not read.`,
};

export const TEXTS = {
  unreachable: "The service cannot be reached. Is it running?",
  sending: "sending",
  loading: "loading",
  connectionLost: "connection lost, trying again",
  play: "Play",
  pause: "Pause",
  whatPlays: "What plays",
  noConcepts: "No concepts were asked for.",
  onlyClassified: "This was only listened to, not explained.",
  explainIt: "Explain it",
  cancelled: "Cancelled.",
  microphoneRefused: "The microphone cannot be used: the browser or its owner does not allow it.",
  microphoneMissing: "The microphone cannot be used: there is none.",
  microphoneInsecure:
    "The microphone cannot be used here: browsers give it to pages over https, or of the same machine, alone. " +
    "Record with another program and drop the file.",
  record: "Record",
  stopRecording: "Stop recording",
  recording: "Recording.",
  recordingFailed: "The browser cannot record this microphone.",
  exampleMissing: "The examples cannot be fetched. Is the service running?",
  recordingEmpty: "The recording came out empty.",
  copyLink: "Copy link",
  picture: "Picture of what is seen",
  copyCommand: "Copy command",
  command: "The command that makes this explanation again",
  linkCopied: "Link copied.",
  curlCopied: "Command copied.",
  copyFailed: "The browser does not let the page copy; select the text instead.",
  keyWanted: "This service wants a key.",
  keyWrong: "The service does not take this key.",
  noReferences: "No reference sounds: the model's atlas does not have this channel.",
  remainder: "All other channels together",
  unnamed: "unnamed",
  spectrogram: "Spectrogram",
  listensTo: "What it listens to",
  whyNot: "Why not?",
  keyNotAdmin: "This key may not do that: data sets and models are made with an admin key.",
  datasetFirst: "Make a data set first",
  notJson: "This is not JSON.",
  noneYet: "None yet.",
  noEpochs: "No epoch has ended yet.",
  curves: "Curves",
  done: "done",
  cancel: "Cancel",
  jobGone: "This job is no longer kept.",
  soundUnplayable: "The browser cannot play this sound.",
  timeline: "Evidence over time",
  for: "for",
  against: "against",
  allItsOwn: "all its own",
  notExplained: "This job has no explanation to show.",
};

/** Of the map beside the first. */
export const BESIDE = {
  nothing: "nothing",
  another: "Another instrument",
  truth: (instrument) => `where the ${instrument} truly is`,
  truthTitle: (instrument) => `Where the ${instrument} truly is`,
  whyNot: (instrument) => (instrument ? `Why not …, rather than ${instrument}?` : "Why not …?"),
  notTitle: (name, instrument) => (instrument ? `Why not ${name} rather than ${instrument}?` : `Why not ${name}?`),
  otherModel: (instrument) => `${instrument} by another model`,
  modelTitle: (instrument, model) => `Why ${instrument}, by ${model}`,
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
  return `Spectrogram with the relevance for ${subjectOf({ instrument, contrast })}. Arrow keys move, plus and minus zoom.`;
}

/** Whom an explanation is about. */
export function subjectOf({ instrument, contrast }) {
  return contrast ? `${instrument} rather than ${contrast}` : instrument;
}

export function whyTitle(subject) {
  return `Why ${subject}`;
}

export function previewLabel({ instrument }) {
  return `A concept of ${instrument}`;
}

/** Where in the recording the cursor is. */
export function placeWords(timeS, endS) {
  return `${seconds(timeS)} of ${seconds(endS)}`;
}

/** What was found, in a sentence to be heard. */
export function foundWords(instruments) {
  const names = instruments.filter((each) => each.present).map((each) => each.instrument);
  return names.length ? `${names.join(", ")} found` : "No instrument reached its threshold";
}

/** What is done for a job at this moment, without numbers that change all the time. */
export function stageWords({ status, progress: { stage } }) {
  return status === "queued" ? STAGES.queued : STAGES[stage] ?? stage;
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

export function curvesLabel(nEpochs) {
  return `Curves of ${nEpochs} epochs`;
}

export function epochLabel(metrics) {
  return `Epoch ${metrics.epoch} of ${metrics.n_epochs}: `;
}

export function notFound(n) {
  return `Not found (${n})`;
}

export function whyNot(instrument) {
  return `Why not ${instrument}?`;
}

export function allFiles(n) {
  return `All ${n} files`;
}

/** What a map shows: why an explanation's instrument was found, or nothing but the sound. */
export function mapTitle(explanation) {
  if (explanation === null) return TEXTS.spectrogram;
  const { probability } = explanation;
  return `${whyTitle(subjectOf(explanation))} (${percent(probability)})`;
}

/** A data set or a training, by name. */
export function adminName(job) {
  return job.kind === "dataset" ? `Data set ${job.order.recipe.name}` : `Training ${job.order.model_id}`;
}

export function rangeNeeded(durationS, longestS) {
  return `The recording lasts ${durationS.toFixed(0)} s; up to ${longestS.toFixed(0)} s can be explained at once. Which part?`;
}

export function conceptLabel(concept) {
  if (concept.remainder) return TEXTS.remainder;
  return concept.name ?? TEXTS.unnamed;
}

export function conceptShare(concept) {
  return `${percent(Math.abs(concept.share))} ${concept.share < 0 ? "against" : "for"}`;
}

/** What is known of a concept, in a line. */
export function conceptFacts(concept) {
  const facts = [conceptShare(concept)];
  if (concept.purity !== null && concept.purity !== undefined) facts.push(`purity ${concept.purity.toFixed(2)}`);
  if (concept.channel !== null) facts.push(`channel ${concept.channel}`);
  return facts.join(" · ");
}

export function pictureOf(words) {
  return `Spectrogram of ${words}`;
}

export function momentOf(reference) {
  return ` at ${seconds(reference.moment_s)}`;
}
