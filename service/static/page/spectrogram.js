// A spectrogram on a canvas with a relevance map, or a true share, over it. `map_controls.js` moves about in it.
//
// What changes seldom (levels, map, axes) is drawn on one canvas, the cursor on another above it, so that playing
// costs a line per frame.

import { MARGINS, drawAxes, inkOf, plotOn } from "./axes.js";
import { Layer, ROWS, rowBands } from "./bitmaps.js";
import { PALETTES, SIGNS, cursorColour, onThemeChange } from "./colours.js";
import { h } from "./dom.js";
import { listenOn } from "./map_controls.js";
import { drawKey, levelContent, overlayContent } from "./overlays.js";
import { reading } from "./texts.js";

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
  #layers = { level: new Layer(), overlay: new Layer() };
  #overlay = null;
  #timeS = 0;
  #isPlaying = false;
  #palette = "red-blue";
  #signs = "both";
  #opacity = 0.85;
  #ending = new AbortController();

  /**
   * @param {{label: string, span: import("./time_window.js").TimeWindow, onseek: (timeS: number) => void,
   *   readout: HTMLElement}} options `readout` is told what is under the pointer
   */
  constructor({ label, span, onseek, readout }) {
    const { signal } = this.#ending;
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
    listenOn(this, onseek, signal);
    span.addEventListener("change", () => this.draw(), { signal });
    onThemeChange(() => this.draw(), signal);
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.frame);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Lets go of everything that holds on to it; it is not drawn any more. */
  destroy() {
    this.#ending.abort();
    this.frame.remove();
  }

  get timeS() {
    return this.#timeS;
  }

  setSpectrogram(spectrogram) {
    this.spectrogram = spectrogram;
    this.frame.setAttribute("aria-valuemin", spectrogram.startS.toFixed(2));
    this.frame.setAttribute("aria-valuemax", spectrogram.endS.toFixed(2));
    this.setTime(this.#timeS);
    this.draw();
  }

  /**
   * What lies over the spectrogram: relevance, whose colour is full at `full`; a true share; or nothing.
   * @param {{relevance: Float32Array, full: number} | {share: Float32Array} | null} overlay
   */
  setOverlay(overlay, label) {
    this.#overlay = overlay;
    this.frame.setAttribute("aria-label", label);
    if (!this.#isPlaying) this.describe(this.#timeS);
    this.draw();
  }

  setOpacity(opacity) {
    this.#opacity = opacity;
    this.draw();
  }

  setPalette(name) {
    if (name === this.#palette || !(name in PALETTES)) return;
    this.#palette = name;
    this.draw();
  }

  /** Shows both signs of relevance, or only what speaks "for" or "against". */
  setSigns(signs) {
    if (signs === this.#signs || !SIGNS.includes(signs)) return;
    this.#signs = signs;
    this.draw();
  }

  /** Moves the cursor. While it plays nothing is said of that to a screen reader. */
  setTime(timeS, { isPlaying = false } = {}) {
    this.#timeS = timeS;
    if (isPlaying && !this.#isPlaying) this.span.follow();
    this.#isPlaying = isPlaying;
    if (!isPlaying) this.describe(timeS);
    this.drawCursor();
  }

  /** Says where the cursor is, and what is there. */
  describe(timeS) {
    if (!this.spectrogram) return;
    this.frame.setAttribute("aria-valuenow", timeS.toFixed(2));
    this.frame.setAttribute("aria-valuetext", this.words({ timeS, row: this.row }));
  }

  draw() {
    if (this.#isHidden) return;
    this.#drawOn(this.below, window.devicePixelRatio || 1);
    this.drawCursor();
  }

  /** What is seen without the cursor, as a canvas of its own with `density` pixels in one of the page. */
  picture(density) {
    const canvas = h("canvas");
    if (!this.#isHidden) this.#drawOn(canvas, density);
    return canvas;
  }

  get #isHidden() {
    return !this.spectrogram || this.frame.clientWidth === 0 || this.#ending.signal.aborted;
  }

  #drawOn(canvas, density) {
    const { spectrogram, span } = this;
    const plot = plotOn(this.frame, canvas, density, span);
    inkOf(this.frame, plot.context);
    this.#drawLayer(plot, this.#layers.level, levelContent(spectrogram), 1);
    if (this.#overlay) {
      const content = overlayContent(spectrogram, this.#overlay, this.#palette, this.#signs);
      this.#drawLayer(plot, this.#layers.overlay, content, this.#opacity);
      if (this.#opacity > 0) drawKey(plot, content, this.#opacity);
    }
    drawAxes(plot, span, spectrogram.frequenciesHz);
  }

  #drawLayer({ context, density, plotWidth, plotHeight }, layer, content, opacity) {
    const { startS, stepS, nFrames } = this.spectrogram;
    const left = (this.span.startS - startS) / stepS; // in frames, as all that follows
    const inSight = this.span.spanS / stepS;
    const first = Math.max(0, left);
    const wide = Math.min(nFrames, left + inSight) - first;
    const pixels = (frames) => Math.round((frames / inSight) * plotWidth * density);
    const size = { width: pixels(wide), height: Math.round(plotHeight * density) };
    if (opacity === 0 || size.width < 1 || size.height < 1) return;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0); // a pixel is a pixel
    context.globalAlpha = opacity;
    const picture = layer.of(this.spectrogram, content, { first, wide }, size);
    context.drawImage(picture, Math.round(MARGINS.left * density) + pixels(first - left), Math.round(MARGINS.top * density));
    context.restore();
  }

  drawCursor() {
    if (this.#isHidden) return;
    const { context, plotWidth, plotHeight, x } = plotOn(this.frame, this.above, window.devicePixelRatio || 1, this.span);
    const at = x(this.#timeS);
    if (at < MARGINS.left || at > MARGINS.left + plotWidth) return;
    context.fillStyle = cursorColour();
    context.fillRect(Math.round(at) - 0.5, MARGINS.top, 1.5, plotHeight);
    if (document.activeElement === this.frame) {
      context.fillRect(at - 5, MARGINS.top + (this.row / ROWS) * plotHeight, 10, 1.5);
    }
  }

  /** Time and row under the pointer; null beside the picture. */
  placeOf(event) {
    const { left, right, top, bottom } = MARGINS;
    const box = this.frame.getBoundingClientRect();
    const across = (event.clientX - box.left - left) / (box.width - left - right);
    const down = (event.clientY - box.top - top) / (box.height - top - bottom);
    if (across < 0 || across > 1 || down < 0 || down >= 1) return null;
    return { timeS: this.span.startS + across * this.span.spanS, row: Math.floor(down * ROWS) };
  }

  /** Seconds in a pixel. */
  get perPixelS() {
    return this.span.spanS / (this.frame.clientWidth - MARGINS.left - MARGINS.right);
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
