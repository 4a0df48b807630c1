// The files that were given together, to choose one of.

import { byId, element, shorten } from "./dom.js";

const FEW = 6; // files that are offered at once
const LETTERS = 26; // of a name

let shown = null; // the files that there are buttons for
let rows = [];

/** Show the files that a question's was given with, and which one it is; `choose(file)` when another is pressed. */
export function showQueue({ file, files }, choose) {
  const queue = byId("queue");
  const place = files.indexOf(file);
  queue.hidden = files.length < 2;
  if (files !== shown) {
    shown = files;
    rows = files.map((one) => element("li", {}, buttonOf(one, choose)));
    queue.replaceChildren(...(files.length > FEW + 1 ? [...rows.slice(0, FEW), element("li", {}, rest())] : rows));
  }
  if (place >= FEW) showAll();
  rows.forEach((row, number) => (row.firstChild.ariaCurrent = number === place ? "true" : null));
}

function buttonOf(file, choose) {
  return element("button", { type: "button", dir: "auto", title: file.name, "aria-label": file.name, onclick: () => choose(file) }, shorten(file.name, LETTERS));
}

function rest() {
  const show = () => (showAll(), rows[FEW].firstChild.focus());
  return element("button", { type: "button", class: "rest", onclick: show }, `${rows.length - FEW} more`);
}

const showAll = () => byId("queue").replaceChildren(...rows);
