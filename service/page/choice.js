// A choice of the catalogue's labels, typed with commas between.

import { element } from "./dom.js";
import { labels } from "./facets.js";

const known = () => labels().then(({ labels }) => labels, () => []);

/** Let a field offer them for what stands after its last comma. */
export function offerLabels(field) {
  const list = field.list;
  let before = null;
  const offer = async () => {
    const [kept] = field.value.match(/^(.*,\s*)?/);
    if (kept === before) return;
    before = kept;
    list.replaceChildren(...(await known()).map((label) => element("option", { value: kept + label })));
  };
  field.addEventListener("focus", () => ((before = null), offer())); // the catalogue may be another
  field.addEventListener("input", offer);
}

/** The labels of a text as the API takes them: in the catalogue's spelling where only the case is another, "*" for all. */
export async function choiceOf(text) {
  const wanted = text.split(",").map((part) => part.trim()).filter(Boolean);
  if (!wanted.length) return ["*"];
  const all = await known();
  const spelled = new Map([...all.map((label) => [label.toLowerCase(), label]), ...all.map((label) => [label, label])]);
  return wanted.map((label) => spelled.get(label) ?? spelled.get(label.toLowerCase()) ?? label);
}
