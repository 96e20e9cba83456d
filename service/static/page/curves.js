// The curves of a training: losses and F1 by epoch, as an SVG with a table for those who do not see it.

import { h } from "./dom.js";
import { CURVES, curvesLabel, epochLabel } from "./texts.js";

const WIDTH = 320;
const HEIGHT = 120;
const PAD = 8;
const LINES = [
  ["train_loss", "curve-train"],
  ["validation_loss", "curve-validation"],
  ["macro_f1", "curve-f1"],
];

/** @param {object[]} epochs each with its epoch, losses and F1 */
export function curves(epochs) {
  const last = epochs[epochs.length - 1];
  const mostLoss = Math.max(...epochs.flatMap((each) => [each.train_loss, each.validation_loss]), 1e-6);
  const x = (epoch) => PAD + ((epoch - 1) / Math.max(1, last.n_epochs - 1)) * (WIDTH - 2 * PAD);
  const y = (name, value) => HEIGHT - PAD - (value / (name === "macro_f1" ? 1 : mostLoss)) * (HEIGHT - 2 * PAD);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": curvesLabel(epochs.length) },
    LINES.map(([name, style]) => svg("polyline", {
      class: style, points: epochs.map((each) => `${x(each.epoch).toFixed(1)},${y(name, each[name]).toFixed(1)}`).join(" "),
    })));
  const words = LINES.map(([name, style]) => h("span", { class: `key ${style}` }, `${CURVES[name]} ${last[name].toFixed(3)}`));
  return h("figure", {}, picture, h("figcaption", {}, epochLabel(last), words));
}

function svg(tag, attributes, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
