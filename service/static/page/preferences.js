// How the reader wants maps drawn: the colours, and which signs. Kept by the browser from visit to visit, and told to
// the style sheet, so that every bar has its map's colours.

import { cssHues, onThemeChange } from "./colours.js";
import { byId } from "./dom.js";

const CHOICES = ["palette", "signs"];
const nameOf = (id) => `timbrescope-${id}`;

/** Fills the choices with what was chosen before, and keeps what is chosen from now on. */
function keep() {
  for (const id of CHOICES) {
    const choice = /** @type {HTMLSelectElement} */ (byId(id));
    const known = [...choice.options].map((option) => option.value);
    const kept = stored(nameOf(id));
    if (known.includes(kept)) choice.value = kept;
    choice.addEventListener("input", () => {
      store(nameOf(id), choice.value);
      apply();
    });
  }
  onThemeChange(apply);
  apply();
}

function apply() {
  const root = document.documentElement;
  for (const id of CHOICES) root.dataset[id] = byId(id).value;
  const [forIt, against] = cssHues(byId("palette").value);
  root.style.setProperty("--for", forIt);
  root.style.setProperty("--against", against);
}

// A browser that keeps nothing for pages refuses even to be asked.
function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Then the choice is good for this visit.
  }
}

keep();
