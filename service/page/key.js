// The API key, where the service asks for one: kept for this tab only.

import { byId } from "./dom.js";

const PLACE = "bma-key";
const NO_SUCH_KEY = "That can't be a key: keys have letters, digits and signs of plain ASCII only, no curly quotes. Copy it once more.";
const fits = (text) => /^[ -~]+$/.test(text); // a browser sends no others in a header
let asking = null;

/** The key, or an empty text. */
export const key = () => sessionStorage.getItem(PLACE) ?? "";

/** Headers that carry it. */
export const authorization = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

/**
 * Ask the visitor once, however many requests need it, and say why, or that the last one was `wrong`; false when they
 * would rather not.
 */
export function askForKey(why, wrong = false) {
  asking ??= new Promise((done) => {
    const dialog = byId("key");
    const field = dialog.querySelector("input");
    const forget = dialog.querySelector("[data-role=forget]");
    const say = (reason, invalid) => {
      dialog.querySelector(".reason").textContent = reason;
      field.setAttribute("aria-invalid", invalid);
    };
    say(why, wrong);
    byId("lock").hidden = false;
    forget.hidden = !key();
    dialog.returnValue = "";
    dialog.onclose = () => {
      const given = dialog.returnValue === "use" ? field.value.trim() : "";
      field.value = "";
      if (given) sessionStorage.setItem(PLACE, given);
      asking = null;
      done(Boolean(given));
    };
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault(); // the page's policy lets no form go anywhere
      if (fits(field.value.trim())) dialog.close("use");
      else say(NO_SUCH_KEY, true);
    };
    forget.onclick = () => {
      sessionStorage.removeItem(PLACE);
      location.reload(); // so that nothing stays of what it opened
    };
    dialog.querySelector("[data-role=cancel]").onclick = () => dialog.close("");
    dialog.showModal();
  });
  return asking;
}
