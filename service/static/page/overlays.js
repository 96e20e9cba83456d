// What is drawn of a spectrogram and of what lies over it: which number is which colour, and the key to that.

import { MARGINS } from "./axes.js";
import { levelScale, placeIn, relevanceScale, shareScale, theme } from "./colours.js";
import { PICKS, loudestDb } from "./reduce.js";
import { TEXTS, signed } from "./texts.js";

const LEVEL_RANGE_DB = 70;
const ACTIVE_RANGE_DB = 60; // as the service counts cells when it compares maps with stems
// The models take what nowhere reaches this for silence; it is drawn no louder than it would be beside such a sound.
const QUIETEST_PEAK_DB = -20;
const KEY_PIXELS = { longest: 140, shortest: 24, height: 9, gap: 6 };

/** The spectrogram itself. */
export function levelContent(spectrogram) {
  const { data } = spectrogram.level;
  const loudest = loudestOf(data);
  return {
    data,
    pick: PICKS.most,
    isSame: [theme()],
    scale: levelScale,
    strength: (value) => 1 + (value - loudest) / LEVEL_RANGE_DB,
  };
}

/**
 * What lies over it.
 * @param {{relevance: Float32Array, full: number} | {share: Float32Array}} overlay
 */
export function overlayContent(spectrogram, overlay, palette, signs) {
  if (overlay.relevance) {
    const { relevance: data, full } = overlay;
    return {
      data,
      pick: { both: PICKS.strongest, for: PICKS.most, against: PICKS.least }[signs],
      isSame: [full, palette, signs, theme()],
      scale: () => relevanceScale(palette, signs),
      strength: (value) => value / full,
      key: keyOf(full, signs),
    };
  }
  return {
    data: activeShare(spectrogram, overlay.share),
    pick: PICKS.most,
    isSame: [theme()],
    scale: shareScale,
    strength: (value) => value,
    key: { words: ["0 %", TEXTS.allItsOwn], from: 0, upTo: 1 },
  };
}

/**
 * The colours and their numbers, above a plot at its right; nothing where there is no room.
 * @param {{scale: () => Uint32Array, key: {words: [string, string], from: number, upTo: number}}} content
 */
export function drawKey({ context, plotWidth }, { scale, key }, opacity) {
  const [low, high] = key.words;
  const { longest, shortest, height, gap } = KEY_PIXELS;
  const room = plotWidth - context.measureText(low + high).width - 2 * gap;
  const width = Math.floor(Math.min(longest, room));
  if (width < shortest) return;
  const colours = scale();
  const y = Math.round((MARGINS.top - height) / 2);
  const right = MARGINS.left + plotWidth;
  const x = Math.round(right - context.measureText(high).width - gap - width);
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.fillText(high, right, MARGINS.top / 2);
  context.fillText(low, x - gap, MARGINS.top / 2);
  const bar = document.createElement("canvas");
  Object.assign(bar, { width, height: 1 });
  const pixels = Uint32Array.from({ length: width }, (_, i) => colours[placeIn(key.from + ((i + 0.5) / width) * (key.upTo - key.from))]);
  bar.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, 1), 0, 0);
  context.globalAlpha = opacity;
  context.drawImage(bar, x, y, width, height);
  context.globalAlpha = 1;
  context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
}

/** A key's words at its two ends, and the numbers there. */
function keyOf(full, signs) {
  const against = `${TEXTS.against} ${signed(-full)}`;
  const forIt = `${signed(full)} ${TEXTS.for}`;
  if (signs === "for") return { words: ["0", forIt], from: 0, upTo: 1 };
  if (signs === "against") return { words: [against, "0"], from: -1, upTo: 0 };
  return { words: [against, forIt], from: -1, upTo: 1 };
}

function loudestOf(data) {
  return Math.max(loudestDb(data), QUIETEST_PEAK_DB);
}

const active = new WeakMap(); // by an instrument's share: the same, but nothing where nothing sounds

function activeShare(spectrogram, share) {
  if (!active.has(share)) {
    const { data } = spectrogram.level;
    const least = loudestOf(data) - ACTIVE_RANGE_DB;
    active.set(share, share.map((part, cell) => (data[cell] > least ? part : 0)));
  }
  return active.get(share);
}
