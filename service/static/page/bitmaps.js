// Pictures of a spectrogram and of what lies over it, a pixel for every pixel of the plot, made for the part that is
// in sight. A picture is painted again only when something that it shows has changed.

import { placeIn } from "./colours.js";
import { columnsOf } from "./reduce.js";

/** Rows of frequency that keys and pointer tell apart: it is logarithmic in them, the highest first. */
export const ROWS = 384;

/** The band that each row of a picture shows. */
export function rowBands(frequenciesHz, nRows = ROWS) {
  const low = Math.log(frequenciesHz[0]);
  const high = Math.log(frequenciesHz[frequenciesHz.length - 1]);
  const bands = new Int32Array(nRows);
  let band = frequenciesHz.length - 1;
  for (let row = 0; row < nRows; row += 1) {
    const frequency = Math.exp(high - ((row + 0.5) / nRows) * (high - low));
    while (band > 0 && Math.abs(frequenciesHz[band - 1] - frequency) < Math.abs(frequenciesHz[band] - frequency)) {
      band -= 1;
    }
    bands[row] = band;
  }
  return bands;
}

/** One of the pictures that lie on one another. */
export class Layer {
  #canvas = document.createElement("canvas");
  #made = []; // what the picture was painted from

  /**
   * The picture of a part of an array.
   * @param {{nMels: number, nFrames: number, frequenciesHz: Float32Array}} spectrogram whose cells the array has
   * @param {{data: Float32Array, pick: Function, isSame: unknown[], scale: () => Uint32Array,
   *   strength: (value: number) => number}} content `isSame` says what scale and strength depend on; `strength` puts
   *   a number between -1 and 1
   * @param {{first: number, wide: number}} seen in frames
   * @param {{width: number, height: number}} size in pixels
   */
  of(spectrogram, content, seen, size) {
    const from = [spectrogram, content.data, ...content.isSame, seen.first, seen.wide, size.width, size.height];
    if (from.length !== this.#made.length || from.some((part, i) => part !== this.#made[i])) {
      this.#paint(spectrogram, content, seen, size);
      this.#made = from;
    }
    return this.#canvas;
  }

  #paint(spectrogram, { data, pick, scale, strength }, { first, wide }, { width, height }) {
    const columns = columnsOf(data, spectrogram, { first, wide, nColumns: width }, pick);
    const colours = scale();
    const cells = new Uint32Array(columns.length);
    for (let i = 0; i < cells.length; i += 1) cells[i] = colours[placeIn(strength(columns[i]))];
    Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    rowBands(spectrogram.frequenciesHz, height).forEach((band, row) => {
      pixels.set(cells.subarray(band * width, (band + 1) * width), row * width);
    });
    context.putImageData(image, 0, 0);
  }
}
