// Which items may be found: by label, tags and metadata.

import { byId, element } from "./dom.js";
import { facets, labels } from "./facets.js";

/** Set up the filters; `changed()` when the visitor has changed them. */
export function makeFilters(changed) {
  const box = byId("filters");
  const body = box.querySelector(".body");
  const sum = box.querySelector(".sum");
  let chosen = { labels: new Set(), tags: new Set(), metadata: {} };

  box.addEventListener("toggle", () => box.open && fill());

  async function fill() {
    const waiting = element("p", { class: "note" }, "Looking through the catalogue…");
    if (!body.children.length) body.replaceChildren(waiting);
    try {
      const named = await labels();
      body.replaceChildren(...[chips("Label", named.labels, chosen.labels), waiting].filter(Boolean));
      const { tags, fields, complete } = await facets();
      if (!waiting.isConnected) return; // it is filled anew
      waiting.replaceWith(...[chips("Tags", tags, chosen.tags), ...fields.map(fieldRow)].filter(Boolean));
      if (!body.children.length) body.append(element("p", { class: "note" }, "Its items have no labels, tags or fields that differ."));
      else body.append(element("button", { type: "button", class: "quiet", onclick: reset }, "Clear all"));
      if (!named.complete) body.append(element("p", { class: "note" }, `It has many labels; the ${named.labels.length} most frequent are listed.`));
      if (!complete) body.append(element("p", { class: "note" }, "The catalogue is large; tags and fields that only its later items have are not listed."));
    } catch (problem) {
      body.replaceChildren(element("p", { class: "note", role: "alert" }, problem.message));
    }
  }

  function chips(title, values, set) {
    if (!values.length) return null;
    return element("fieldset", { class: "chips" }, element("legend", {}, title), element("div", { class: "many" }, ...values.map((value) => chip(value, set))));
  }

  function chip(value, set) {
    const tick = () => (box.checked ? set.add(value) : set.delete(value), update());
    const box = element("input", { type: "checkbox", checked: set.has(value), onchange: tick });
    return element("label", {}, box, element("span", { dir: "auto" }, value));
  }

  function fieldRow({ key, values, numbers }) {
    if (values) {
      const any = element("option", { value: "" }, "any");
      const list = element("select", { "aria-label": key, onchange: () => set(key, values[list.selectedIndex - 1]) }, any, ...values.map((value) => element("option", { selected: chosen.metadata[key] === value }, String(value))));
      return element("label", { class: "field" }, element("span", { dir: "auto" }, key), list);
    }
    const bound = (name, text) => {
      const input = element("input", { type: "number", step: "any", placeholder: numbers[name === "gte" ? 0 : 1], value: chosen.metadata[key]?.[name], "aria-label": `${key} ${text}` });
      input.addEventListener("change", () => {
        const { [name]: _, ...rest } = chosen.metadata[key] ?? {};
        const bounds = input.value === "" ? rest : { ...rest, [name]: Number(input.value) };
        set(key, Object.keys(bounds).length ? bounds : undefined);
      });
      return input;
    };
    return element("div", { class: "field" }, element("span", { dir: "auto" }, key), element("span", { class: "between" }, bound("gte", "from"), "–", bound("lte", "to")));
  }

  function set(key, value) {
    if (value === undefined) delete chosen.metadata[key];
    else chosen.metadata[key] = value;
    update();
  }

  function update() {
    const many = chosen.labels.size + chosen.tags.size + Object.keys(chosen.metadata).length;
    sum.textContent = many ? `${many} chosen` : "";
    changed();
  }

  function reset() {
    chosen = { labels: new Set(), tags: new Set(), metadata: {} };
    update();
    fill();
    box.querySelector("summary").focus();
  }

  /** The API's filter, or an empty text. */
  function filter() {
    const { labels, tags, metadata } = chosen;
    const parts = { ...(labels.size && { label: [...labels] }), ...(tags.size && { tags: [...tags] }), ...(Object.keys(metadata).length && { metadata }) };
    return Object.keys(parts).length ? JSON.stringify(parts) : "";
  }

  return { filter, refresh: () => (body.replaceChildren(), box.open && fill()) };
}
