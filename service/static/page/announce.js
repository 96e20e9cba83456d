// What is said to who cannot see it: one live region for the whole page, that speaks when something has changed for
// good, never as a clock does. And where the focus goes when what had it is gone.

import { byId } from "./dom.js";

/** Has a screen reader say a sentence; the same sentence again only once something else was said. */
export function say(text) {
  const said = byId("said");
  if (said.textContent !== text) said.textContent = text;
}

/** Moves the focus to an element, if it was in one of these places or went with what had it. */
export function focusFrom(places, element) {
  const { activeElement } = document;
  const isLost = activeElement === null || activeElement === document.body;
  if (isLost || places.some((place) => place.contains(activeElement))) element.focus();
}
