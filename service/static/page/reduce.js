// From cells to pixels: which number stands for a pixel that several frames share, and how strong is strong.
//
// Arrays lie as the service sends them: `nMels` rows of `nFrames`, the lowest frequency first.

const FULL_PERCENTILE = 0.998;
const CODES = 1 << 15; // of a 32-bit float's exponent and the first seven bits of its fraction
const WITHOUT_SIGN = 0x7fffffff;

/** Which of a row's cells, `from` one `upTo` another, stands for all of them. */
export const PICKS = {
  /** The furthest from nothing, with its sign: a moment's evidence is seen however much time is in sight. */
  strongest(data, from, upTo) {
    let value = data[from];
    for (let cell = from + 1; cell < upTo; cell += 1) if (Math.abs(data[cell]) > Math.abs(value)) value = data[cell];
    return value;
  },
  most(data, from, upTo) {
    let value = data[from];
    for (let cell = from + 1; cell < upTo; cell += 1) if (data[cell] > value) value = data[cell];
    return value;
  },
  least(data, from, upTo) {
    let value = data[from];
    for (let cell = from + 1; cell < upTo; cell += 1) if (data[cell] < value) value = data[cell];
    return value;
  },
};

/**
 * One number for each band and each of `nColumns` equal columns, from frame `first` on, `wide` frames in all. A column
 * narrower than a frame has that frame's number, so that every frame within is in some column.
 * @param {Float32Array} data @param {{nMels: number, nFrames: number}} shape
 * @param {{first: number, wide: number, nColumns: number}} seen
 * @param {(data: Float32Array, from: number, upTo: number) => number} pick
 * @returns {Float32Array} `nMels` rows of `nColumns`
 */
export function columnsOf(data, { nMels, nFrames }, { first, wide, nColumns }, pick) {
  const edges = Int32Array.from({ length: nColumns + 1 }, (_, column) => Math.floor(first + (column * wide) / nColumns + 1e-6));
  const columns = new Float32Array(nMels * nColumns);
  for (let band = 0; band < nMels; band += 1) {
    const row = band * nFrames;
    for (let column = 0; column < nColumns; column += 1) {
      const from = Math.max(0, Math.min(nFrames - 1, edges[column]));
      const upTo = Math.min(nFrames, edges[column + 1]);
      columns[band * nColumns + column] = pick(data, row + from, row + upTo);
    }
  }
  return columns;
}

/**
 * The strength from which on a map's colour is full: 99.8 % of its cells are weaker. Counted by the leading bits of
 * the numbers, which without their signs are in the order of their sizes, so that only those few are sorted that have
 * the bits that matter.
 * @param {Float32Array} data
 */
export const fullRelevance = remembered((data) => {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const code = (i) => (bits[i] & WITHOUT_SIGN) >>> 16;
  const counts = new Uint32Array(CODES);
  for (let i = 0; i < bits.length; i += 1) counts[code(i)] += 1;
  let wanted = Math.floor(FULL_PERCENTILE * (bits.length - 1));
  let met = 0;
  while (wanted >= counts[met]) {
    wanted -= counts[met];
    met += 1;
  }
  const near = new Float32Array(counts[met]);
  let n = 0;
  for (let i = 0; i < bits.length; i += 1) {
    if (code(i) === met) {
      near[n] = Math.abs(data[i]);
      n += 1;
    }
  }
  return near.sort()[wanted] || Math.abs(PICKS.strongest(data, 0, data.length)) || 1;
});

/** The loudest of all levels, in dB. */
export const loudestDb = remembered((data) => PICKS.most(data, 0, data.length));

/** Works something out once for every array, for as long as the array is there. */
function remembered(workOut) {
  const known = new WeakMap();
  return (data) => {
    if (!known.has(data)) known.set(data, workOut(data));
    return known.get(data);
  };
}
