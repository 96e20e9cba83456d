// The examples that come with the page: MIDI files of two instruments each.

const LIST = "/static/examples/examples.json";

let asked = null;

/** @returns {Promise<{title: string, file: string, instruments: string[], sha256: string}[]>} asked for once */
export function knownExamples() {
  asked ??= fetch(LIST).then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(LIST))))
    .then((list) => list.examples);
  asked.catch(() => { asked = null; });
  return asked;
}

export function pathOfExample(file) {
  return `/static/examples/${file}`;
}

/** The example that a job was asked about, whatever its file was called; null when it was another recording. */
export async function exampleOf(job) {
  if (!job.input) return null;
  const examples = await knownExamples();
  return examples.find((each) => each.sha256 === job.input.sha256) ?? null;
}
