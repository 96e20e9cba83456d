// From cells to pixels: which number stands for a pixel that several frames share, and how strong is strong.
//
// Arrays lie as the service sends them: `nMels` rows of `nFrames`, the lowest frequency first.

const FULL_PERCENTILE = 0.998;
const CODES = 1 << 15; // of a float's exponent and the first seven bits of its fraction

/** Which of two numbers a pixel shows that stands for both. */
export const PICKS = {
  /** The further from nothing, with its sign: a moment's evidence is seen however much time is in sight. */
  strongest: (one, other) => (Math.abs(other) > Math.abs(one) ? other : one),
  most: (one, other) => (other > one ? other : one),
  least: (one, other) => (other < one ? other : one),
};

/**
 * One number for each band and each of `nColumns` equal columns, from frame `first` on, `wide` frames in all. A column
 * narrower than a frame has that frame's number, so that every frame within is in some column.
 * @param {Float32Array} data @param {{nMels: number, nFrames: number}} shape
 * @param {{first: number, wide: number, nColumns: number}} seen
 * @param {(one: number, other: number) => number} pick
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
      let value = data[row + from];
      for (let frame = from + 1; frame < upTo; frame += 1) value = pick(value, data[row + frame]);
      columns[band * nColumns + column] = value;
    }
  }
  return columns;
}

/**
 * The strength from which on a map's colour is full: 99.8 % of its cells are weaker. Counted by the leading bits of
 * the numbers, which are in the order of their sizes, so that only the few in the bin that matters are sorted.
 */
export const fullRelevance = remembered((data) => {
  const bits = new Uint32Array(Float32Array.from(data, Math.abs).buffer);
  const counts = new Uint32Array(CODES);
  for (const each of bits) counts[each >>> 16] += 1;
  let wanted = Math.floor(FULL_PERCENTILE * (bits.length - 1));
  let code = 0;
  while (wanted >= counts[code]) {
    wanted -= counts[code];
    code += 1;
  }
  const sizes = new Float32Array(bits.buffer);
  const near = sizes.filter((_, i) => bits[i] >>> 16 === code).sort();
  return near[wanted] || mostOf(sizes) || 1;
});

/** The quietest and the loudest level, in dB. */
export const levelRange = remembered((data) => {
  let [least, most] = [Infinity, -Infinity];
  for (const value of data) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
});

function mostOf(sizes) {
  return sizes.reduce((most, size) => (size > most ? size : most), 0);
}

/** Works something out once for every array, for as long as the array is there. */
function remembered(workOut) {
  const known = new WeakMap();
  return (data) => {
    if (!known.has(data)) known.set(data, workOut(data));
    return known.get(data);
  };
}
