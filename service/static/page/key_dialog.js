// Asks for a key, where the service wants one. It is kept for this tab alone, and nowhere else.

import { byId } from "./dom.js";
import { TEXTS } from "./texts.js";

/** The service wants a key, and none was given. */
export class KeyMissingError extends Error {}

let open = null;

/**
 * Resolves once there is a key, with true; with false when it was to be forgotten, unless the service wants one.
 * Rejects when none is given. One dialog at a time, for all who ask.
 * @param {import("./api.js").Api} api
 * @param {object | null} problem that the service answered with; null when the reader opens the dialog
 */
export function askForKey(api, problem) {
  open ??= ask(api, problem).finally(() => { open = null; });
  return open;
}

function ask(api, problem) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  const field = /** @type {HTMLInputElement} */ (byId("key-field"));
  const reason = byId("key-reason");
  reason.hidden = problem === null;
  reason.textContent = problem === null ? "" : api.key ? TEXTS.keyWrong : TEXTS.keyWanted;
  field.value = api.key;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    dialog.addEventListener("close", () => {
      const text = field.value.trim();
      field.value = "";
      if (dialog.returnValue === "forget") api.key = "";
      if (dialog.returnValue === "keep" && text) {
        api.key = text;
        resolve(true);
      } else if (dialog.returnValue === "forget" && problem === null) resolve(false);
      else reject(new KeyMissingError(TEXTS.keyWanted));
    }, { once: true });
  });
}
