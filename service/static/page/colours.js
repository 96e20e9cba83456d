// How numbers become colours: levels in grey, relevance in two hues, a true share in a third.
//
// The pairs of hues differ in more than red and green, so that they can be told apart with any common kind of
// colour vision, and whether a cell speaks for or against is said in words wherever the pointer is.

/** Rows of a bitmap: frequency is logarithmic in it, the highest first. */
export const ROWS = 384;
const LEVEL_RANGE_DB = 70;
const ACTIVE_RANGE_DB = 60; // as the service counts cells when it compares maps with stems
const FULL_PERCENTILE = 0.998;
const WEAK_EXPONENT = 0.75; // below 1: faint relevance stays visible

/** For and against, on a light and on a dark ground. */
export const PALETTES = {
  "red-blue": { light: [[192, 18, 38], [20, 88, 178]], dark: [[255, 92, 84], [96, 172, 255]] },
  "orange-purple": { light: [[186, 84, 0], [84, 39, 146]], dark: [[255, 170, 64], [190, 150, 255]] },
};
const SHARE = { light: [0, 120, 76], dark: [96, 226, 158] };

const darkScheme = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark", as the reader's system has it. */
export function theme() {
  return darkScheme.matches ? "dark" : "light";
}

/** Calls when the reader's system changes between light and dark. */
export function onThemeChange(call) {
  darkScheme.addEventListener("change", call);
}

/** The band that each row of a bitmap shows. */
export function rowBands(frequenciesHz) {
  const low = Math.log(frequenciesHz[0]);
  const high = Math.log(frequenciesHz[frequenciesHz.length - 1]);
  const bands = new Int32Array(ROWS);
  let band = frequenciesHz.length - 1;
  for (let row = 0; row < ROWS; row += 1) {
    const frequency = Math.exp(high - ((row + 0.5) / ROWS) * (high - low));
    while (band > 0 && Math.abs(frequenciesHz[band - 1] - frequency) < Math.abs(frequenciesHz[band] - frequency)) {
      band -= 1;
    }
    bands[row] = band;
  }
  return bands;
}

/** The spectrogram in grey, the louder the further from the ground. */
export function levelBitmap(spectrogram) {
  const { data } = spectrogram.level;
  const loudest = data.reduce((most, value) => (value > most ? value : most), -Infinity);
  const isDark = theme() === "dark";
  return paint(spectrogram, (cell, pixels, at) => {
    const strength = Math.max(0, Math.min(1, 1 + (data[cell] - loudest) / LEVEL_RANGE_DB));
    const grey = isDark ? 18 + 190 * strength : 255 - 205 * strength;
    pixels[at] = pixels[at + 1] = pixels[at + 2] = grey;
    pixels[at + 3] = 255;
  });
}

/** The strength from which on a map's colour is full. */
export function fullRelevance(data) {
  const sizes = Float32Array.from(data, Math.abs).sort();
  return sizes[Math.floor(FULL_PERCENTILE * (sizes.length - 1))] || sizes[sizes.length - 1] || 1;
}

/** A relevance map to be laid over the spectrogram. */
export function relevanceBitmap(spectrogram, data, full, palette) {
  const [forIt, against] = PALETTES[palette][theme()];
  return paint(spectrogram, (cell, pixels, at) => {
    const value = data[cell];
    const hue = value >= 0 ? forIt : against;
    pixels[at] = hue[0];
    pixels[at + 1] = hue[1];
    pixels[at + 2] = hue[2];
    pixels[at + 3] = 255 * Math.min(1, Math.abs(value) / full) ** WEAK_EXPONENT;
  });
}

/** An instrument's true share of every cell in which something sounds. */
export function shareBitmap(spectrogram, share) {
  const level = spectrogram.level.data;
  const loudest = level.reduce((most, value) => (value > most ? value : most), -Infinity);
  const hue = SHARE[theme()];
  return paint(spectrogram, (cell, pixels, at) => {
    [pixels[at], pixels[at + 1], pixels[at + 2]] = hue;
    pixels[at + 3] = level[cell] > loudest - ACTIVE_RANGE_DB ? 255 * share[cell] : 0;
  });
}

function paint(spectrogram, colour) {
  const { nFrames, bands } = spectrogram;
  const canvas = document.createElement("canvas");
  canvas.width = nFrames;
  canvas.height = ROWS;
  const context = canvas.getContext("2d");
  const image = context.createImageData(nFrames, ROWS);
  for (let row = 0; row < ROWS; row += 1) {
    for (let frame = 0; frame < nFrames; frame += 1) {
      colour(bands[row] * nFrames + frame, image.data, 4 * (row * nFrames + frame), row, frame);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
