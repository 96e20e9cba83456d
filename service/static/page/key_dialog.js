// Asks for a key, where the service wants one. It is kept for this tab alone, and nowhere else.

import { byId } from "./dom.js";
import { TEXTS } from "./texts.js";

let open = null;

/** Resolves once there is a key; rejects when none is given. One dialog at a time, for all who ask. */
export function askForKey(api, problem) {
  open ??= ask(api, problem).finally(() => { open = null; });
  return open;
}

function ask(api, problem) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("key-dialog"));
  const field = /** @type {HTMLInputElement} */ (byId("key-field"));
  byId("key-reason").textContent = problem === null ? "" : api.key ? TEXTS.keyWrong : TEXTS.keyWanted;
  field.value = api.key;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve, reject) => {
    dialog.addEventListener("close", () => {
      const text = field.value.trim();
      field.value = "";
      if (dialog.returnValue === "forget") {
        api.key = "";
        resolve();
      } else if (dialog.returnValue === "keep" && text) {
        api.key = text;
        resolve();
      } else reject(new Error(TEXTS.keyWanted));
    }, { once: true });
  });
}
