// Moving about on a map: a click goes there, dragging and wheels move and zoom, keys do all of it.

import { ROWS } from "./bitmaps.js";

const DRAG_PIXELS = 4;
const KEY_STEP_S = 0.1;
const KEY_ROWS = 4;
const WHEEL_PIXELS = [1, 16, 400]; // in one unit of WheelEvent's deltaMode: pixels, lines, pages

/**
 * Makes a map answer to pointer and keys.
 * @param {import("./spectrogram.js").SpectrogramView} view
 * @param {(timeS: number) => void} onseek
 * @param {AbortSignal} signal ends it
 */
export function listenOn(view, onseek, signal) {
  const { frame, span, readout } = view;
  let drag = null;
  const listen = (type, call, options = {}) => {
    frame.addEventListener(type, (event) => { if (view.spectrogram) call(event); }, { ...options, signal });
  };

  listen("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { x: event.clientX, startS: span.startS, moved: false };
    frame.setPointerCapture(event.pointerId);
  });
  listen("pointermove", (event) => {
    if (!drag) {
      const place = view.placeOf(event);
      readout.textContent = place ? view.words(place) : "";
      return;
    }
    const moved = event.clientX - drag.x;
    drag.moved ||= Math.abs(moved) > DRAG_PIXELS;
    if (drag.moved) span.pan(drag.startS - moved * view.perPixelS - span.startS);
  });
  listen("pointerup", (event) => {
    const place = drag && !drag.moved ? view.placeOf(event) : null;
    drag = null;
    if (place) seek(view, onseek, place.timeS);
  });
  listen("pointercancel", () => { drag = null; });
  listen("pointerleave", () => { readout.textContent = ""; });
  listen("wheel", (event) => {
    const unit = WHEEL_PIXELS[event.deltaMode] ?? 1;
    const isZoom = event.ctrlKey || event.metaKey;
    // A trackpad's scrolling is never quite straight: what is mostly up or down is the page's.
    const isPan = !isZoom && !span.isWhole && Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!isZoom && !isPan) return;
    event.preventDefault();
    if (isZoom) span.zoom(Math.exp((event.deltaY * unit) / 200), view.placeOf(event)?.timeS);
    else span.pan(event.deltaX * unit * view.perPixelS);
  }, { passive: false });
  listen("keydown", (event) => onKey(view, onseek, event));
  listen("focus", () => view.drawCursor());
  listen("blur", () => view.drawCursor());
}

/** Goes to a time, within what there is, and shows it. */
function seek(view, onseek, timeS) {
  const { startS, endS } = view.spectrogram;
  const target = Math.max(startS, Math.min(endS, timeS));
  view.span.follow();
  view.span.reveal(target);
  onseek(target);
  view.describe(target); // also while it plays
  return target;
}

function onKey(view, onseek, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { span, spectrogram, timeS } = view;
  const stepS = event.shiftKey ? 10 * KEY_STEP_S : KEY_STEP_S;
  let target = timeS;
  const goTo = (placeS) => { target = seek(view, onseek, placeS); };
  const moves = {
    ArrowLeft: () => goTo(timeS - stepS),
    ArrowRight: () => goTo(timeS + stepS),
    Home: () => goTo(spectrogram.startS),
    End: () => goTo(spectrogram.endS),
    ArrowUp: () => { view.row = Math.max(0, view.row - KEY_ROWS); },
    ArrowDown: () => { view.row = Math.min(ROWS - 1, view.row + KEY_ROWS); },
    "+": () => span.zoom(0.5, timeS),
    "-": () => span.zoom(2, timeS),
    0: () => span.showAll(),
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  moves[event.key]();
  view.drawCursor();
  view.describe(target);
  view.readout.textContent = view.words({ timeS: target, row: view.row });
}
