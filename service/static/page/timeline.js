// When the evidence came: an instrument's relevance summed over all frequencies, above the line what speaks for it,
// below what speaks against it.

import { PALETTES, onThemeChange, theme } from "./colours.js";
import { h } from "./dom.js";

const LEFT = 62; // as the map above it
const RIGHT = 6;

export class Timeline {
  #evidence = null;
  #timeS = 0;
  #palette = "red-blue";

  constructor({ span, onseek }) {
    this.span = span;
    this.canvas = h("canvas", { class: "timeline", role: "img", "aria-label": "Evidence over time" });
    this.element = this.canvas;
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const across = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      if (across >= 0 && across <= 1) onseek(span.startS + across * span.spanS);
    });
    span.addEventListener("change", () => this.draw());
    onThemeChange(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** @param {{start_s: number, step_s: number, evidence: number[]} | null} evidence */
  setEvidence(evidence) {
    this.#evidence = evidence;
    this.draw();
  }

  setPalette(name) {
    this.#palette = name;
    this.draw();
  }

  setTime(timeS) {
    this.#timeS = timeS;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0) return;
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    const context = this.canvas.getContext("2d");
    context.scale(density, density);
    const plotWidth = width - LEFT - RIGHT;
    const x = (timeS) => LEFT + ((timeS - this.span.startS) / this.span.spanS) * plotWidth;
    context.fillStyle = getComputedStyle(this.canvas).color;
    context.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText("for", LEFT - 7, height * 0.25);
    context.fillText("against", LEFT - 7, height * 0.75);
    context.fillRect(LEFT, height / 2, plotWidth, 1);
    if (!this.#evidence) return;
    const { start_s: startS, step_s: stepS, evidence } = this.#evidence;
    const most = Math.max(...evidence.map(Math.abs), 1e-12);
    const hues = PALETTES[this.#palette][theme()].map((hue) => `rgb(${hue.join(" ")})`);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, plotWidth, height);
    context.clip();
    evidence.forEach((value, i) => {
      const from = x(startS + i * stepS);
      const size = (Math.abs(value) / most) * (height / 2 - 2);
      context.fillStyle = hues[value >= 0 ? 0 : 1];
      context.fillRect(from, value >= 0 ? height / 2 - size : height / 2 + 1, Math.max(1, x(startS + (i + 1) * stepS) - from - 1), size);
    });
    context.restore();
    context.fillStyle = theme() === "dark" ? "#ffffff" : "#000000";
    const at = x(this.#timeS);
    if (at >= LEFT && at <= LEFT + plotWidth) context.fillRect(Math.round(at) - 0.5, 0, 1.5, height);
  }
}
