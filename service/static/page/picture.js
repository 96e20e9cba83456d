// What is seen of an explanation as one picture: the maps with their names and keys, and the evidence over time.

import { h } from "./dom.js";

const DENSITY = 2; // pixels in one of the page: fit to be printed
const MARGIN = 16;
const LINE = 24;
const GAP = 16;

/**
 * @param {{heading: string, columns: {title: string, parts: {picture: (density: number) => HTMLCanvasElement}[]}[]}}
 *   content of each column, from top to bottom
 * @returns {HTMLCanvasElement}
 */
export function composed({ heading, columns: wanted }) {
  const columns = wanted.map(({ title, parts }) => ({ title, pictures: parts.map((part) => part.picture(DENSITY)) }));
  const widths = columns.map(({ pictures }) => Math.max(...pictures.map((each) => each.width)) / DENSITY);
  const heights = columns.map(({ pictures }) => pictures.reduce((sum, each) => sum + each.height, 0) / DENSITY);
  const width = 2 * MARGIN + widths.reduce((sum, each) => sum + each, 0) + GAP * (columns.length - 1);
  const height = 2 * MARGIN + 2 * LINE + Math.max(...heights);
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas"));
  Object.assign(canvas, { width: Math.round(width * DENSITY), height: Math.round(height * DENSITY) });
  const context = canvas.getContext("2d");
  context.scale(DENSITY, DENSITY);
  const style = getComputedStyle(document.body);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, width, height);
  context.fillStyle = style.color;
  context.textBaseline = "middle";
  context.font = `13px ${style.fontFamily}`;
  context.fillText(clipped(context, heading, width - 2 * MARGIN), MARGIN, MARGIN + LINE / 2);
  context.font = `600 15px ${style.fontFamily}`;
  let x = MARGIN;
  columns.forEach(({ title, pictures }, i) => {
    context.fillText(clipped(context, title, widths[i]), x, MARGIN + 1.5 * LINE);
    let y = MARGIN + 2 * LINE;
    for (const picture of pictures) {
      context.drawImage(picture, x, y, picture.width / DENSITY, picture.height / DENSITY);
      y += picture.height / DENSITY;
    }
    x += widths[i] + GAP;
  });
  return canvas;
}

/** A text as it is, or as much of it as there is room for. */
function clipped(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("")}…`;
}
