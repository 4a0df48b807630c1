// What it is: bars of the most probable classes, by the model's training or by the catalogue's labels.

import { classify } from "./api.js";
import { choiceOf, offerLabels } from "./choice.js";
import { byId, element, percent } from "./dom.js";
import { orAnswer } from "./focus.js";
import { showHeard } from "./given.js";

const mostBars = () => (matchMedia("(max-width: 52rem)").matches ? 3 : 5);

/**
 * The section with the classes.
 *
 * @param {function(string)} say told what was found
 * @param {function(Promise<object|null>)} renamed told the best class to come when the visitor changes who names
 */
export function makeClasses(say, renamed) {
  const section = byId("classes");
  const list = section.querySelector("ol");
  const more = section.querySelector(".more");
  const only = byId("only");
  const field = only.querySelector("input");
  const trouble = section.querySelector(".bad");
  let asked = null; // { file, modality, explain, signal }
  let turn = new AbortController(); // of who names now
  let failed = null; // why nobody could

  const byLabels = () => byId("by-labels").checked;
  const forgive = () => orAnswer(() => ((failed = null), (trouble.hidden = true)));
  const again = () => asked && renamed(run().catch(() => null).finally(tell));
  for (const radio of section.querySelectorAll("[name=namer]")) radio.addEventListener("change", again);
  offerLabels(field);
  only.addEventListener("submit", (event) => (event.preventDefault(), again()));

  /**
   * Name a file; the best class with what each slot did for it, if the model tells. `labels` promises whether the
   * catalogue has any. What goes wrong is thrown, and shown by `tell`.
   */
  async function name(file, modality, { trained, labels }, explain, signal) {
    asked = { file, modality, explain, signal };
    list.replaceChildren();
    more.hidden = true;
    forgive();
    const labelled = await labels;
    signal.throwIfAborted();
    section.hidden = !trained && !labelled;
    if (section.hidden) return null;
    section.querySelector(".namer").hidden = !(trained && labelled);
    if (!trained || !labelled) byId(labelled ? "by-labels" : "by-training").checked = true;
    return run();
  }

  async function run() {
    const question = asked;
    turn.abort();
    const mine = (turn = new AbortController());
    const signal = AbortSignal.any([question.signal, mine.signal]);
    forgive();
    only.hidden = !byLabels();
    list.setAttribute("aria-busy", "true");
    if (!list.children.length) list.replaceChildren(...Array.from({ length: mostBars() }, () => bar({ label: "\u00a0", probability: null })));
    try {
      const among = byLabels() ? await choiceOf(field.value) : [];
      const ask = () => classify(question.file, question.modality, { labels: among, explain: question.explain }, signal);
      const { classes, windows } = await ask().catch((error) => {
        if (error.kind !== "no-memory") throw error;
        question.explain = false;
        return ask();
      });
      show(classes);
      showHeard(windows);
      if (classes.length) say(`most likely ${classes[0].label}, ${percent(classes[0].probability)}`);
      return classes[0] ?? null;
    } catch (error) {
      if (!signal.aborted) {
        failed = error;
        list.replaceChildren(); // what stands there is of whoever named before
        more.hidden = true;
      }
      throw error;
    } finally {
      if (turn === mine) list.removeAttribute("aria-busy");
    }
  }

  /** Show beside the classes why there are none, if so: the switch stays, to choose otherwise. */
  function tell() {
    trouble.hidden = !failed;
    if (!failed) return;
    const words = failed.message.replace("GET /v1/labels lists", "Filter lists"); // that for programs
    trouble.replaceChildren(element("p", {}, words), failed.passing ? element("button", { type: "button", class: "quiet", onclick: again }, "Try again") : "");
  }

  function show(classes) {
    const most = mostBars();
    list.replaceChildren(...classes.slice(0, most).map(bar));
    more.hidden = classes.length <= most;
    more.textContent = `Show all ${classes.length}`;
    more.onclick = () => {
      list.replaceChildren(...classes.map(bar));
      more.hidden = true;
      list.tabIndex = -1;
      list.focus();
    };
  }

  /** Show nothing. */
  function clear() {
    turn.abort();
    list.replaceChildren();
    section.hidden = true;
    asked = null;
  }

  return { name, tell, clear };
}

function bar({ label, probability }) {
  const fill = element("span", { class: "fill" });
  fill.style.setProperty("--share", probability ?? 0);
  return element(
    "li",
    {},
    element("span", { class: "label", dir: "auto", title: label }, label),
    element("span", { class: "percent" }, probability === null ? "\u00a0" : percent(probability)),
    element("span", { class: "bar", "aria-hidden": "true" }, fill),
  );
}
