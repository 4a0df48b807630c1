// The API key, where the service asks for one: kept for this tab only.

import { byId } from "./dom.js";

const PLACE = "bma-key";
let asking = null;

/** The key, or an empty text. */
export const key = () => sessionStorage.getItem(PLACE) ?? "";

/** Headers that carry it. */
export const authorization = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

/** Ask the visitor once, however many requests need it, and say why; false when they would rather not. */
export function askForKey(why) {
  asking ??= new Promise((done) => {
    const dialog = byId("key");
    const field = dialog.querySelector("input");
    dialog.querySelector(".reason").textContent = why;
    field.value = "";
    dialog.returnValue = "";
    dialog.onclose = () => {
      const given = dialog.returnValue === "use" ? field.value.trim() : "";
      if (given) sessionStorage.setItem(PLACE, given);
      asking = null;
      done(Boolean(given));
    };
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault(); // the page's policy lets no form go anywhere
      dialog.close("use");
    };
    dialog.querySelector("[data-role=cancel]").onclick = () => dialog.close("");
    dialog.showModal();
  });
  return asking;
}
