// What is heard when: the windows of a sound by their classes, as a strip and as a legend of it.

import { element, stretch } from "./dom.js";

const HUES = 8; // of the strip; beyond these many classes the last is theirs together
export const ROWS = 3; // of the legend, for which room is kept
const FEW = 2; // stretches of a class that are told one by one

/**
 * Fill the strip and its legend. Windows in a row of the same class are one part of the strip; the legend has the classes,
 * those that are heard longest first, by whose numbers the parts go.
 */
export function fillHeard(strip, legend, windows) {
  const runs = runsOf(windows);
  const classes = classesOf(runs);
  const numbers = new Map(classes.map(({ label }, number) => [label, number]));
  strip.replaceChildren(...runs.map((run) => partOf(run, numbers.get(run.label))));
  const rows = classes.map(rowOf);
  const more = element("button", { type: "button", class: "quiet", onclick: showAll }, `Show all ${rows.length}`);
  legend.replaceChildren(...(rows.length > ROWS ? [...rows.slice(0, ROWS - 1), element("li", {}, more)] : rows));

  function showAll() {
    legend.replaceChildren(...rows);
    legend.tabIndex = -1;
    legend.focus();
  }
}

function runsOf(windows) {
  const runs = [];
  for (const { start, end, classes } of windows) {
    const { label } = classes[0];
    if (runs.at(-1)?.label === label) runs.at(-1).end = end;
    else runs.push({ start, end, label });
  }
  return runs;
}

function classesOf(runs) {
  const classes = new Map();
  for (const run of runs) {
    const { label, seconds, parts } = classes.get(run.label) ?? { label: run.label, seconds: 0, parts: [] };
    classes.set(label, { label, seconds: seconds + run.end - run.start, parts: [...parts, run] });
  }
  return [...classes.values()].sort((one, other) => other.seconds - one.seconds);
}

/** Neither colour nor number alone: a part may be too narrow for the one, and the other is not for everyone. */
const marks = (number) => ({ "data-number": number + 1, "data-hue": Math.min(number + 1, HUES) });

function partOf(run, number) {
  const words = `${stretch(run)}: ${run.label}`;
  const part = element("li", { ...marks(number), title: words }, element("span", { class: "unseen", dir: "auto" }, words));
  part.style.setProperty("--share", run.end - run.start);
  return part;
}

function rowOf({ label, seconds, parts }, number) {
  const when = parts.length > FEW ? `${Math.round(seconds)} s in ${parts.length} parts` : parts.map(stretch).join(", ");
  return element("li", {}, element("span", { class: "mark", "aria-hidden": "true", ...marks(number) }), element("span", { class: "label", dir: "auto", title: label }, label), element("span", { class: "kind" }, when));
}
