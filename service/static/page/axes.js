// Frequencies and times as a musician and a researcher read them, and the axes of a drawing.

const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const STEPS_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30];

/** Pixels around a plot: the axes at its left and below, the colour key above. */
export const MARGINS = { left: 62, right: 6, top: 24, bottom: 24 };

/** The nearest note of the equally tempered scale: A4 is 440 Hz. */
export function noteName(frequencyHz) {
  const pitch = Math.round(69 + 12 * Math.log2(frequencyHz / 440));
  return pitchName(pitch);
}

/** The name of a MIDI pitch. */
export function pitchName(pitch) {
  return `${NOTES[((pitch % 12) + 12) % 12]}${Math.floor(pitch / 12) - 1}`;
}

export function hertz(frequencyHz) {
  return frequencyHz >= 1000 ? `${(frequencyHz / 1000).toPrecision(3)} kHz` : `${Math.round(frequencyHz)} Hz`;
}

/** The octaves of A within a range, as frequencies. */
export function octaves(lowHz, highHz) {
  const found = [];
  for (let frequency = 27.5; frequency <= highHz; frequency *= 2) if (frequency >= lowHz) found.push(frequency);
  return found;
}

/** Round times within a window, no more than fit. */
export function timeTicks(startS, endS, most) {
  const step = STEPS_S.find((each) => (endS - startS) / each <= most) ?? STEPS_S[STEPS_S.length - 1];
  const found = [];
  for (let tick = Math.ceil(startS / step - 1e-6) * step; tick <= endS + 1e-9; tick += step) found.push(tick);
  return found.map((tick) => Math.round(tick * 1000) / 1000);
}

/**
 * A canvas of an element's size, cleared, and where the plot lies on it.
 * @param {HTMLElement} element whose size it has, in the page's pixels
 * @param {HTMLCanvasElement} canvas
 * @param {number} density pixels of the canvas in one of the page
 * @param {import("./time_window.js").TimeWindow} span
 */
export function plotOn(element, canvas, density, span) {
  const { clientWidth: width, clientHeight: height } = element;
  const size = { width: Math.round(width * density), height: Math.round(height * density) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  const plotWidth = width - MARGINS.left - MARGINS.right;
  const plotHeight = height - MARGINS.top - MARGINS.bottom;
  const x = (timeS) => MARGINS.left + ((timeS - span.startS) / span.spanS) * plotWidth;
  return { context, density, width, height, plotWidth, plotHeight, x };
}

/** Draws and writes from here on as the element's style has it. */
export function inkOf(element, context) {
  const style = getComputedStyle(element);
  context.strokeStyle = context.fillStyle = style.color;
  context.font = `11px ${style.fontFamily}`;
}

/** A frame, the octaves at its left and the times below. */
export function drawAxes({ context, width, height, plotWidth, plotHeight, x }, span, frequenciesHz) {
  const { left, top, bottom } = MARGINS;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, top + 0.5, plotWidth - 1, plotHeight - 1);
  const low = frequenciesHz[0];
  const high = frequenciesHz[frequenciesHz.length - 1];
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const frequency of octaves(low, high)) {
    const y = top + plotHeight * (1 - Math.log(frequency / low) / Math.log(high / low));
    context.fillRect(left - 4, Math.round(y), 4, 1);
    context.fillText(`${noteName(frequency)} ${hertz(frequency).replace(" Hz", "").replace(" kHz", "k")}`, left - 7,
      Math.max(top + 6, Math.min(height - bottom - 6, y)));
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of timeTicks(span.startS, span.endS, plotWidth / 60)) {
    context.fillRect(Math.round(x(tick)), height - bottom, 1, 4);
    if (x(tick) < width - 14) context.fillText(`${tick} s`, x(tick), height - bottom + 7);
  }
}
