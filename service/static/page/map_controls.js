// Moving about on a map: a click goes there, dragging and wheels move and zoom, keys do all of it.

import { ROWS } from "./colours.js";

const DRAG_PIXELS = 4;
const KEY_STEP_S = 0.1;
const KEY_ROWS = 4;

/**
 * Makes a map answer to pointer and keys.
 * @param {import("./spectrogram.js").SpectrogramView} view
 * @param {(timeS: number) => void} onseek
 */
export function listenOn(view, onseek) {
  const { frame, span, readout } = view;
  let drag = null;
  const ready = (call) => (event) => { if (view.spectrogram) call(event); };

  frame.addEventListener("pointerdown", ready((event) => {
    if (event.button !== 0) return;
    drag = { x: event.clientX, startS: span.startS, moved: false };
    frame.setPointerCapture(event.pointerId);
  }));
  frame.addEventListener("pointermove", ready((event) => {
    if (!drag) {
      const place = view.placeOf(event);
      readout.textContent = place ? view.words(place) : "";
      return;
    }
    const moved = event.clientX - drag.x;
    drag.moved ||= Math.abs(moved) > DRAG_PIXELS;
    if (drag.moved) span.pan(drag.startS - moved * view.perPixelS - span.startS);
  }));
  frame.addEventListener("pointerup", (event) => {
    const place = drag && !drag.moved ? view.placeOf(event) : null;
    drag = null;
    if (place) onseek(place.timeS);
  });
  frame.addEventListener("pointercancel", () => { drag = null; });
  frame.addEventListener("pointerleave", () => { readout.textContent = ""; });
  frame.addEventListener("wheel", ready((event) => {
    const isZoom = event.ctrlKey || event.metaKey;
    if (!isZoom && !event.deltaX) return; // the page scrolls
    event.preventDefault();
    if (isZoom) span.zoom(Math.exp(event.deltaY / 200), view.placeOf(event)?.timeS);
    else span.pan(event.deltaX * view.perPixelS);
  }), { passive: false });
  frame.addEventListener("keydown", ready((event) => onKey(view, onseek, event)));
  frame.addEventListener("focus", () => view.drawCursor());
  frame.addEventListener("blur", () => view.drawCursor());
}

function onKey(view, onseek, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { span, spectrogram, timeS } = view;
  const stepS = event.shiftKey ? 10 * KEY_STEP_S : KEY_STEP_S;
  const moves = {
    ArrowLeft: () => onseek(timeS - stepS),
    ArrowRight: () => onseek(timeS + stepS),
    Home: () => onseek(spectrogram.startS),
    End: () => onseek(spectrogram.endS),
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
  const words = view.words({ timeS: view.timeS, row: view.row });
  view.readout.textContent = words;
  view.frame.setAttribute("aria-valuetext", words);
}
