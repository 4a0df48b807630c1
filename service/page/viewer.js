// One picture, full size, in a dialog; arrows go through the others.

import { local } from "./api.js";
import { byId, element, icon, nameOf } from "./dom.js";
import { score } from "./results.js";

/** Open the dialog on one of the hits; `ask(item)` to search with what is shown. */
export function view(hits, number, ask) {
  const dialog = byId("viewer");
  let at = number;

  const step = (by) => {
    at = (at + by + hits.length) % hits.length;
    show();
  };
  const show = () => {
    const focused = dialog.contains(document.activeElement) ? document.activeElement.dataset.role : null;
    const hit = hits[at];
    const picture = element("img", { src: local(hit.content), alt: `Picture: ${nameOf(hit)}` });
    picture.addEventListener("error", () => (picture.src = local(hit.thumbnail)), { once: true }); // such as a TIFF
    dialog.replaceChildren(
      element("div", { class: "bar-top" }, element("p", { class: "place" }, `${at + 1} of ${hits.length}`), control("close", "Close", () => dialog.close())),
      element("div", { class: "stage" }, hits.length > 1 ? control("back", "Previous picture", () => step(-1)) : null, picture, hits.length > 1 ? control("next", "Next picture", () => step(1)) : null),
      element(
        "div",
        { class: "about" },
        element("h2", { id: "viewer-title" }, nameOf(hit)),
        facts(hit),
        element("button", { type: "button", class: "main", "data-role": "search", onclick: () => (dialog.close(), ask(hit)) }, icon("search"), "Search with this one"),
      ),
    );
    (dialog.querySelector(`[data-role="${focused}"]`) ?? dialog.querySelector('[data-role="search"]'))?.focus();
  };

  dialog.onkeydown = (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  dialog.onclick = (event) => event.target === dialog && dialog.close(); // the backdrop
  dialog.onclose = () => dialog.replaceChildren();
  dialog.showModal();
  show();
}

function control(role, label, act) {
  return element("button", { type: "button", class: `round ${role}`, "aria-label": label, "data-role": role, onclick: act }, icon(role));
}

function facts(hit) {
  const pairs = [["similarity", score(hit)], ["id", hit.id]];
  if (hit.tags?.length) pairs.push(["tags", hit.tags.join(", ")]);
  for (const [key, value] of Object.entries(hit.metadata ?? {})) {
    pairs.push([key, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  }
  return element("dl", {}, ...pairs.map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value))));
}
