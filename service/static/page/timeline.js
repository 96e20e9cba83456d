// When the evidence came: an instrument's relevance summed over all frequencies, above the line what speaks for it,
// below what speaks against it.

import { MARGINS, inkOf, plotOn } from "./axes.js";
import { PALETTES, cssHues, cursorColour, onThemeChange } from "./colours.js";
import { h } from "./dom.js";
import { TEXTS } from "./texts.js";

export class Timeline {
  #evidence = null;
  #timeS = 0;
  #palette = "red-blue";
  #signs = "both";
  #ending = new AbortController();

  constructor({ span, onseek }) {
    const { signal } = this.#ending;
    this.span = span;
    this.canvas = h("canvas", { class: "timeline", role: "img", "aria-label": TEXTS.timeline });
    this.element = this.canvas;
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const across = (event.clientX - box.left - MARGINS.left) / (box.width - MARGINS.left - MARGINS.right);
      if (across >= 0 && across <= 1) onseek(span.startS + across * span.spanS);
    }, { signal });
    span.addEventListener("change", () => this.draw(), { signal });
    onThemeChange(() => this.draw(), signal);
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.canvas);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Lets go of everything that holds on to it; it is not drawn any more. */
  destroy() {
    this.#ending.abort();
    this.element.remove();
  }

  /** @param {{start_s: number, step_s: number, evidence: number[]} | null} evidence */
  setEvidence(evidence) {
    this.#evidence = evidence;
    this.draw();
  }

  setPalette(name) {
    if (!(name in PALETTES)) return;
    this.#palette = name;
    this.draw();
  }

  /** Shows both signs of relevance, or only what speaks "for" or "against". */
  setSigns(signs) {
    this.#signs = signs;
    this.draw();
  }

  setTime(timeS) {
    this.#timeS = timeS;
    this.draw();
  }

  draw() {
    if (this.#isHidden) return;
    const plot = this.#drawOn(this.canvas, window.devicePixelRatio || 1);
    const at = plot.x(this.#timeS);
    plot.context.fillStyle = cursorColour();
    if (at >= MARGINS.left && at <= MARGINS.left + plot.plotWidth) plot.context.fillRect(Math.round(at) - 0.5, 0, 1.5, plot.height);
  }

  /** What is seen without the cursor, as a canvas of its own with `density` pixels in one of the page. */
  picture(density) {
    const canvas = h("canvas");
    if (!this.#isHidden) this.#drawOn(canvas, density);
    return canvas;
  }

  get #isHidden() {
    return this.canvas.clientWidth === 0 || this.#ending.signal.aborted;
  }

  #drawOn(canvas, density) {
    const plot = plotOn(this.canvas, canvas, density, this.span);
    const { context, height, plotWidth } = plot;
    inkOf(this.canvas, context);
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText(TEXTS.for, MARGINS.left - 7, height * 0.25);
    context.fillText(TEXTS.against, MARGINS.left - 7, height * 0.75);
    context.fillRect(MARGINS.left, height / 2, plotWidth, 1);
    if (this.#evidence) this.#drawBars(plot);
    return plot;
  }

  #drawBars({ context, height, plotWidth, x }) {
    const { start_s: startS, step_s: stepS, evidence } = this.#evidence;
    const most = evidence.reduce((size, value) => Math.max(size, Math.abs(value)), 1e-12);
    const hues = cssHues(this.#palette, this.#signs);
    context.save();
    context.beginPath();
    context.rect(MARGINS.left, 0, plotWidth, height);
    context.clip();
    evidence.forEach((value, i) => {
      const from = x(startS + i * stepS);
      const size = (Math.abs(value) / most) * (height / 2 - 2);
      context.fillStyle = hues[value >= 0 ? 0 : 1];
      context.fillRect(from, value >= 0 ? height / 2 - size : height / 2 + 1, Math.max(1, x(startS + (i + 1) * stepS) - from - 1), size);
    });
    context.restore();
  }
}
