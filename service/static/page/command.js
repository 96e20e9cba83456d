// An explanation as the command that makes it again, in words that curl and a POSIX shell understand.

import { pathOfExample } from "./examples.js";

const PLAIN = /^[\w.@/=:-]+$/; // what a shell leaves alone

/**
 * @param {{job: object, chosen: object | null, part: {start_s: number, duration_s: number} | null}} shown
 *   `chosen` is the explanation that is looked at, `part` what was cut out of the recording
 * @param {{origin: string, hasKey: boolean, example: {file: string} | null, layer: string | undefined}} options
 *   `example` is the page's own file that was asked about, which the reader does not have; `layer` the model's
 *   usual one
 */
export function curlCommand({ job, chosen, part }, { origin, hasKey, example, layer }) {
  const { result } = job;
  const about = chosen ? [chosen] : result.explanations;
  const found = result.instruments.filter((each) => each.present).map((each) => each.instrument);
  const isUsual = !chosen && String(about.map((each) => each.instrument).sort()) === String(found.sort());
  const fields = [
    fileField(example?.file ?? fileNameOf(job)),
    field("model", job.model.id),
    field("method", result.method),
    ...(isUsual ? [] : about.map((each) => field("instruments", each.instrument))),
    ...(about[0]?.contrast ? [field("contrast", about[0].contrast)] : []),
    ...(about.length ? [field("concepts", about[0].concepts.filter((concept) => !concept.remainder).length)] : []),
    ...(layer === undefined || layer === result.layer ? [] : [field("layer", result.layer)]),
    ...(result.engine === "direct" ? [] : [field("engine", result.engine)]),
    ...Object.entries(part ?? {}).map(([name, value]) => field(name, value)),
  ];
  const key = hasKey ? ['-H "Authorization: Bearer $TIMBRESCOPE_KEY"'] : [];
  const lines = [`curl ${["-H 'Prefer: wait=30'", ...key].join(" ")}`, ...fields, `${origin}/explain`];
  const explain = lines.join(" \\\n  ");
  return example ? `curl -O ${origin}${pathOfExample(example.file)}\n${explain}` : explain;
}

/**
 * A recording's name. Browsers send a quotation mark in a file's name as %22 (HTML standard, multipart/form-data), and
 * the service keeps names as they are sent.
 */
export function fileNameOf(job) {
  return job.input?.filename.replaceAll("%22", '"') ?? job.id;
}

/** Unless they are quoted, curl takes a semicolon or comma for the end of the name, and a bare minus for its input. */
function fileField(name) {
  const path = name === "-" ? "./-" : name;
  return `-F ${quoted(PLAIN.test(path) ? `file=@${path}` : `file=@"${path.replaceAll(/["\\]/g, "\\$&")}"`)}`;
}

/** Values with what means something to curl are sent as they are by --form-string. */
function field(name, value) {
  return `${/^[@<]|[;"]/.test(String(value)) ? "--form-string" : "-F"} ${quoted(`${name}=${value}`)}`;
}

function quoted(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
