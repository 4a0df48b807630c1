// Adding what was given to the catalogue.

import { addItem, deleteItem } from "./api.js";
import { byId, element } from "./dom.js";
import { labels as known } from "./facets.js";

/** Set up the form; `changed()` when the catalogue has. */
export function makeAddition(changed) {
  const box = byId("addition");
  const form = box.querySelector("form");
  const said = box.querySelector(".said");
  const button = form.querySelector(".main");
  let given = null;

  box.addEventListener("toggle", async () => {
    if (!box.open) return;
    const { labels } = await known().catch(() => ({ labels: [] }));
    byId("known-labels").replaceChildren(...labels.map((label) => element("option", { value: label })));
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { file, modality } = given;
    const label = form.elements.label.value.trim();
    const tags = form.elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    button.disabled = true;
    said.replaceChildren("Adding…");
    try {
      const { created, item } = await addItem(file, modality, { label, tags });
      if (given?.file === file) tell(created, item);
      changed();
    } catch (problem) {
      said.replaceChildren(element("span", { class: "bad" }, problem.message));
    }
    button.disabled = false;
    if (document.activeElement === document.body) button.focus(); // being disabled took it
  });

  function tell(created, item) {
    if (!created) {
      said.replaceChildren("It was in the catalogue already, and stays as it was.");
      return;
    }
    const undo = element("button", { type: "button", class: "quiet" }, "Undo");
    undo.onclick = async () => {
      undo.disabled = true;
      try {
        await deleteItem(item.id);
        said.replaceChildren("It is out of the catalogue again.");
        changed();
      } catch (problem) {
        said.replaceChildren(element("span", { class: "bad" }, problem.message));
      }
      button.focus();
    };
    said.replaceChildren("Added; searches find it from now on. ", undo);
  }

  /** Offer it for what was given, or with null not at all. */
  return function offer(question) {
    if (question?.file !== given?.file) {
      form.reset();
      said.replaceChildren();
      box.open = false;
    }
    given = question;
    box.hidden = !question;
  };
}
