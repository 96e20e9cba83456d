// Reads NPZ files: ZIP archives of NPY arrays, as numpy writes them.
// Sources: PKWARE's APPNOTE 6.3 (records 4.3.7, 4.3.12, 4.3.16), numpy's NEP 1.

import { FILE_FAULTS } from "./texts.js";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_BYTES = 22;
const STORED = 0;
const DEFLATED = 8;

const KINDS = {
  "<f4": Float32Array,
  "<f8": Float64Array,
  "<i4": Int32Array,
  "|u1": Uint8Array,
};

/**
 * The arrays of an NPZ file by name, each with its shape; rows lie one after the other.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Record<string, {shape: number[], data: Float32Array | Float64Array | Int32Array | Uint8Array}>>}
 */
export async function readNpz(buffer) {
  const view = new DataView(buffer);
  const end = endOfDirectory(view);
  const n = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const arrays = {};
  for (let i = 0; i < n; i += 1) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) throw new Error(FILE_FAULTS.damaged);
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, nameBytes));
    arrays[name.replace(/\.npy$/, "")] = npy(await content(buffer, view, at));
    at += 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return arrays;
}

function endOfDirectory(view) {
  for (let at = view.byteLength - END_BYTES; at >= 0; at -= 1) {
    if (view.getUint32(at, true) === END_OF_DIRECTORY) return at;
  }
  throw new Error(FILE_FAULTS.notNpz);
}

async function content(buffer, view, entry) {
  const method = view.getUint16(entry + 10, true);
  const size = view.getUint32(entry + 20, true);
  const local = view.getUint32(entry + 42, true);
  // A file's own header has lengths of its own, which may differ from those in the directory.
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const bytes = new Uint8Array(buffer, start, size);
  if (method === STORED) return bytes.slice().buffer;
  if (method !== DEFLATED) throw new Error(FILE_FAULTS.packing(method));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).arrayBuffer();
}

function npy(buffer) {
  const view = new DataView(buffer);
  const isFirstVersion = view.getUint8(6) === 1;
  const headerBytes = isFirstVersion ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = isFirstVersion ? 10 : 12;
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, start, headerBytes));
  const kind = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((part) => part.trim());
  if (!(kind in KINDS) || /'fortran_order':\s*True/.test(header)) throw new Error(FILE_FAULTS.kind(kind));
  return { shape: shape.map(Number), data: new KINDS[kind](buffer, start + headerBytes) };
}
