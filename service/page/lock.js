// The control to give another API key than the one there is, or to forget it.

import { getKey, NO_KEY } from "./api.js";
import { byId } from "./dom.js";
import { askForKey, key } from "./key.js";

/** Set it up: it is there where the service asks for keys. `changed()` when there is another key. */
export function makeLock(changed) {
  const control = byId("lock");
  control.hidden = !key();
  control.addEventListener("click", async () => {
    const before = key();
    const why = before ? await getKey().then(wordsOf, (problem) => problem.detail) : NO_KEY;
    if (key() !== before || (await askForKey(why))) changed(); // one that is unknown was asked for already
  });
}

function wordsOf({ name, scopes }) {
  if (!name) return "This service asks for no key.";
  return `This tab uses the key “${name}”, which may search ${scopes.includes("write") ? "and" : "but not"} change the catalogue. Another takes its place.`;
}
