// How numbers become colours: levels in grey, relevance in two hues, a true share in a third.
//
// The pairs of hues differ in more than red and green, so that they can be told apart with any common kind of
// colour vision, and whether a cell speaks for or against is said in words wherever the pointer is. A scale of colours
// is a table of pixels from its lowest to its highest number, as a canvas keeps them.

const STEPS = 256; // on each side of nothing
const WEAK_EXPONENT = 0.75; // below 1: faint relevance stays visible

/** For and against, on a light and on a dark ground. */
export const PALETTES = {
  "red-blue": { light: [[192, 18, 38], [20, 88, 178]], dark: [[255, 92, 84], [96, 172, 255]] },
  "orange-purple": { light: [[186, 84, 0], [84, 39, 146]], dark: [[255, 170, 64], [190, 150, 255]] },
};
const SHARE = { light: [0, 120, 76], dark: [96, 226, 158] };

/** Which signs of relevance are shown. */
export const SIGNS = ["both", "for", "against"];

const darkScheme = matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark", as the reader's system has it. */
export function theme() {
  return darkScheme.matches ? "dark" : "light";
}

/** Calls when the reader's system changes between light and dark, until the signal ends that. */
export function onThemeChange(call, signal) {
  darkScheme.addEventListener("change", call, { signal });
}

/** The cursor's colour. */
export function cursorColour() {
  return theme() === "dark" ? "#ffffff" : "#000000";
}

/** What speaks for and what speaks against, as CSS has colours; one that is not shown is clear. */
export function cssHues(palette, signs = "both") {
  const hues = PALETTES[palette][theme()].map((hue) => `rgb(${hue.join(" ")})`);
  return hues.map((hue, side) => (isShown(side === 0 ? 1 : -1, signs) ? hue : "transparent"));
}

/** Grey from -1, nothing, to 1, the loudest; the louder the further from the ground. */
export function levelScale() {
  const isDark = theme() === "dark";
  return scale((value) => {
    const grey = isDark ? 18 + 190 * Math.max(0, value) : 255 - 205 * Math.max(0, value);
    return [grey, grey, grey, 255];
  });
}

/** From -1, wholly against, to 1, wholly for. */
export function relevanceScale(palette, signs) {
  const [forIt, against] = PALETTES[palette][theme()];
  return scale((value) => [
    ...(value >= 0 ? forIt : against),
    isShown(value, signs) ? 255 * Math.abs(value) ** WEAK_EXPONENT : 0,
  ]);
}

/** From 0 to 1, all of it. */
export function shareScale() {
  const hue = SHARE[theme()];
  return scale((value) => [...hue, 255 * Math.max(0, value)]);
}

/** The place in a scale's table of a number from -1 to 1; what is beyond has the colour of the end. */
export function placeIn(value) {
  return Math.round(STEPS * (1 + Math.max(-1, Math.min(1, value))));
}

function isShown(value, signs) {
  return signs === "both" || (signs === "for") === value >= 0;
}

function scale(colour) {
  const bytes = new Uint8ClampedArray(4 * (2 * STEPS + 1));
  for (let step = -STEPS; step <= STEPS; step += 1) bytes.set(colour(step / STEPS), 4 * (step + STEPS));
  return new Uint32Array(bytes.buffer);
}
