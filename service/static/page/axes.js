// Frequencies and times as a musician and a researcher read them, and the axes of a drawing.

const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const STEPS_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30];

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
