// What it is: bars of the most probable classes, by the model's training or by the catalogue's labels.

import { classify } from "./api.js";
import { byId, element, percent } from "./dom.js";
import { showHeard } from "./given.js";

const mostBars = () => (matchMedia("(max-width: 52rem)").matches ? 3 : 5);

/**
 * The section with the classes.
 *
 * @param {function(string)} say told what was found
 * @param {function(Error)} fail told what went wrong when the visitor changes who names
 */
export function makeClasses(say, fail) {
  const section = byId("classes");
  const list = section.querySelector("ol");
  const more = section.querySelector(".more");
  const only = byId("only");
  const field = only.querySelector("input");
  let asked = null; // { file, modality, signal, trained }

  const byLabels = () => byId("by-labels").checked;
  const again = () => asked && run().catch((error) => asked.signal.aborted || error.name === "AbortError" || fail(error));
  for (const radio of section.querySelectorAll("[name=namer]")) radio.addEventListener("change", again);
  only.addEventListener("submit", (event) => (event.preventDefault(), again()));

  /** Name a file; the best class with what each slot did for it, if the model tells. */
  async function name(file, modality, { trained, labels }, explain, signal) {
    asked = { file, modality, signal, explain };
    list.replaceChildren();
    more.hidden = true;
    section.hidden = !trained && !labels;
    if (section.hidden) return null;
    section.querySelector(".namer").hidden = !(trained && labels);
    if (!trained || !labels) byId(labels ? "by-labels" : "by-training").checked = true;
    if (trained) return run();
    return run().catch((error) => {
      if (signal.aborted) throw error;
      section.hidden = true; // such as a catalogue without labels: nothing to say
      return null;
    });
  }

  async function run() {
    const { file, modality, signal, explain } = asked;
    only.hidden = !byLabels();
    const wanted = field.value.split(",").map((text) => text.trim()).filter(Boolean);
    list.setAttribute("aria-busy", "true");
    if (!list.children.length) list.replaceChildren(...Array.from({ length: mostBars() }, () => bar({ label: "\u00a0", probability: null })));
    try {
      const { classes, windows } = await classify(file, modality, { labels: byLabels() ? (wanted.length ? wanted : ["*"]) : [], explain }, signal);
      show(classes);
      showHeard(windows);
      if (classes.length) say(`most likely ${classes[0].label}, ${percent(classes[0].probability)}`);
      return classes[0] ?? null;
    } finally {
      list.removeAttribute("aria-busy");
    }
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

  return { name, clear: () => (list.replaceChildren(), (section.hidden = true), (asked = null)) };
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
