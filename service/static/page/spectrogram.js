// A spectrogram on a canvas with a relevance map, or a true share, over it. `map_controls.js` moves about in it.
//
// What changes seldom (levels, map, axes) is drawn on one canvas, the cursor on another above it, so that playing
// costs a line per frame.

import { PALETTES, ROWS, levelBitmap, onThemeChange, relevanceBitmap, rowBands, shareBitmap, theme } from "./colours.js";
import { hertz, noteName, octaves, timeTicks } from "./axes.js";
import { h } from "./dom.js";
import { listenOn } from "./map_controls.js";
import { reading } from "./texts.js";

const LEFT = 62;
const BOTTOM = 24;
const TOP = 6;
const RIGHT = 6;

/**
 * What an NPZ of the spectrogram holds, ready to be drawn.
 * @param {number} [startS] where it begins, when it is of a sound that was cut out
 */
export function spectrogramOf(arrays, startS = arrays.times_s.data[0]) {
  const [nMels, nFrames] = arrays.level_db.shape;
  const times = arrays.times_s.data;
  const stepS = nFrames > 1 ? (times[nFrames - 1] - times[0]) / (nFrames - 1) : 1;
  return {
    nMels,
    nFrames,
    stepS,
    startS,
    endS: startS + nFrames * stepS,
    level: arrays.level_db,
    frequenciesHz: arrays.frequencies_hz.data,
    bands: rowBands(arrays.frequencies_hz.data),
  };
}

export class SpectrogramView {
  #bitmaps = { level: null, overlay: null };
  #overlay = null;
  #timeS = 0;
  #palette = "red-blue";
  #opacity = 0.85;

  /**
   * @param {{label: string, span: import("./time_window.js").TimeWindow, onseek: (timeS: number) => void,
   *   readout: HTMLElement}} options `readout` is told what is under the pointer
   */
  constructor({ label, span, onseek, readout }) {
    this.span = span;
    this.spectrogram = null;
    this.row = Math.floor(ROWS / 2); // of the keys' cursor
    this.below = h("canvas");
    this.above = h("canvas", { class: "map-cursor" });
    this.frame = h(
      "div",
      { class: "map", tabindex: "0", role: "slider", "aria-label": label, "aria-orientation": "horizontal" },
      this.below,
      this.above,
    );
    this.readout = readout;
    listenOn(this, onseek);
    span.addEventListener("change", () => this.draw());
    onThemeChange(() => this.#repaint());
    new ResizeObserver(() => this.draw()).observe(this.frame);
  }

  get timeS() {
    return this.#timeS;
  }

  setSpectrogram(spectrogram) {
    this.spectrogram = spectrogram;
    this.frame.setAttribute("aria-valuemin", spectrogram.startS.toFixed(2));
    this.frame.setAttribute("aria-valuemax", spectrogram.endS.toFixed(2));
    this.setTime(this.#timeS);
    this.#repaint();
  }

  /**
   * What lies over the spectrogram: relevance, whose colour is full at `full`; a true share; or nothing.
   * @param {{relevance: Float32Array, full: number} | {share: Float32Array} | null} overlay
   */
  setOverlay(overlay, label) {
    this.#overlay = overlay;
    this.frame.setAttribute("aria-label", label);
    this.#repaint();
  }

  setOpacity(opacity) {
    this.#opacity = opacity;
    this.draw();
  }

  setPalette(name) {
    if (name === this.#palette || !(name in PALETTES)) return;
    this.#palette = name;
    this.#repaint();
  }

  setTime(timeS) {
    this.#timeS = timeS;
    this.frame.setAttribute("aria-valuenow", timeS.toFixed(2));
    this.drawCursor();
  }

  #repaint() {
    if (!this.spectrogram) return;
    const { spectrogram } = this;
    const overlay = this.#overlay;
    this.#bitmaps.level = levelBitmap(spectrogram);
    this.#bitmaps.overlay = null;
    if (overlay?.relevance) {
      this.#bitmaps.overlay = relevanceBitmap(spectrogram, overlay.relevance, overlay.full, this.#palette);
    } else if (overlay?.share) this.#bitmaps.overlay = shareBitmap(spectrogram, overlay.share);
    this.draw();
  }

  #size(canvas) {
    const { clientWidth: width, clientHeight: height } = this.frame;
    const density = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
    }
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height, plotWidth: width - LEFT - RIGHT, plotHeight: height - TOP - BOTTOM };
  }

  draw() {
    if (!this.spectrogram || this.frame.clientWidth === 0) return;
    const sized = this.#size(this.below);
    const { context, plotWidth, plotHeight } = sized;
    const { startS, stepS, nFrames } = this.spectrogram;
    const first = (this.span.startS - startS) / stepS;
    const wide = this.span.spanS / stepS;
    context.imageSmoothingEnabled = wide > plotWidth;
    for (const [bitmap, opacity] of [[this.#bitmaps.level, 1], [this.#bitmaps.overlay, this.#opacity]]) {
      if (!bitmap) continue;
      context.globalAlpha = opacity;
      const from = Math.max(0, first);
      const upTo = Math.min(nFrames, first + wide);
      const scale = plotWidth / wide;
      context.drawImage(bitmap, from, 0, upTo - from, ROWS, LEFT + (from - first) * scale, TOP, (upTo - from) * scale,
        plotHeight);
    }
    context.globalAlpha = 1;
    this.#drawAxes(sized);
    this.drawCursor();
  }

  #drawAxes({ context, width, height, plotWidth, plotHeight }) {
    const style = getComputedStyle(this.frame);
    context.strokeStyle = context.fillStyle = style.color;
    context.font = `11px ${style.fontFamily}`;
    context.lineWidth = 1;
    context.strokeRect(LEFT + 0.5, TOP + 0.5, plotWidth - 1, plotHeight - 1);
    const { frequenciesHz } = this.spectrogram;
    const low = frequenciesHz[0];
    const high = frequenciesHz[frequenciesHz.length - 1];
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const frequency of octaves(low, high)) {
      const y = TOP + plotHeight * (1 - Math.log(frequency / low) / Math.log(high / low));
      context.fillRect(LEFT - 4, Math.round(y), 4, 1);
      context.fillText(`${noteName(frequency)} ${hertz(frequency).replace(" Hz", "").replace(" kHz", "k")}`, LEFT - 7,
        Math.max(TOP + 6, Math.min(height - BOTTOM - 6, y)));
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const tick of timeTicks(this.span.startS, this.span.endS, plotWidth / 60)) {
      const x = this.#x(tick, plotWidth);
      context.fillRect(Math.round(x), height - BOTTOM, 1, 4);
      if (x < width - 14) context.fillText(`${tick} s`, x, height - BOTTOM + 7);
    }
  }

  #x(timeS, plotWidth) {
    return LEFT + ((timeS - this.span.startS) / this.span.spanS) * plotWidth;
  }

  drawCursor() {
    if (!this.spectrogram || this.frame.clientWidth === 0) return;
    const { context, plotWidth, plotHeight } = this.#size(this.above);
    const x = this.#x(this.#timeS, plotWidth);
    if (x < LEFT || x > LEFT + plotWidth) return;
    context.fillStyle = theme() === "dark" ? "#ffffff" : "#000000";
    context.fillRect(Math.round(x) - 0.5, TOP, 1.5, plotHeight);
    if (document.activeElement === this.frame) {
      context.fillRect(x - 5, TOP + (this.row / ROWS) * plotHeight, 10, 1.5);
    }
  }

  /** Time and row under the pointer; null beside the picture. */
  placeOf(event) {
    const box = this.frame.getBoundingClientRect();
    const across = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    const down = (event.clientY - box.top - TOP) / (box.height - TOP - BOTTOM);
    if (across < 0 || across > 1 || down < 0 || down >= 1) return null;
    return { timeS: this.span.startS + across * this.span.spanS, row: Math.floor(down * ROWS) };
  }

  /** Seconds in a pixel. */
  get perPixelS() {
    return this.span.spanS / (this.frame.clientWidth - LEFT - RIGHT);
  }

  /** What is at a time and row, in words. */
  words({ timeS, row }) {
    const { nFrames, startS, stepS, bands, frequenciesHz, level } = this.spectrogram;
    const frame = Math.max(0, Math.min(nFrames - 1, Math.floor((timeS - startS) / stepS)));
    const cell = bands[row] * nFrames + frame;
    return reading({
      timeS,
      frequencyHz: frequenciesHz[bands[row]],
      levelDb: level.data[cell],
      relevance: this.#overlay?.relevance ? this.#overlay.relevance[cell] : null,
      share: this.#overlay?.share ? this.#overlay.share[cell] : null,
    });
  }
}
