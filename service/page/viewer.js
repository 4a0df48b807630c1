// One item in a dialog: the picture full size, or the sound; arrows go through the others.

import { deleteItem, loadable, whyNot } from "./api.js";
import { byId, element, icon, nameOf, score } from "./dom.js";
import { player } from "./player.js";
import { thumbnail, waveform } from "./thumbnail.js";
import { askLink } from "./trail.js";

/**
 * Open the dialog on one of the hits.
 *
 * @param {object[]} hits what the arrows go through
 * @param {number} number the first one's place
 * @param {{ask: function(object), deleted: function(object)|null}} actions to search with what is shown; told of what
 *   was deleted, or null where nothing may be
 */
export function view(hits, number, { ask, deleted }) {
  const dialog = byId("viewer");
  const all = [...hits];
  let at = number;

  const step = (by) => {
    at = (at + by + all.length) % all.length;
    show();
  };

  function show() {
    const focused = dialog.contains(document.activeElement) ? document.activeElement.dataset.role : null;
    const hit = all[at];
    const several = all.length > 1;
    const noun = hit.modality === "image" ? "picture" : "sound";
    dialog.replaceChildren(
      element("div", { class: "bar-top" }, element("p", { class: "place" }, `${at + 1} of ${all.length}`), control("close", "Close", () => dialog.close())),
      element("div", { class: `stage ${hit.modality}` }, several ? control("back", `Previous ${noun}`, () => step(-1)) : null, contentOf(hit), several ? control("next", `Next ${noun}`, () => step(1)) : null),
      element(
        "div",
        { class: "about" },
        element("h2", { id: "viewer-title", dir: "auto" }, nameOf(hit)),
        facts(hit),
        element(
          "div",
          { class: "acts" },
          askLink(hit, () => (dialog.close(), ask(hit)), { class: "main", "data-role": "search" }, icon("search"), "Search with this one"),
          deleted ? deletion(hit) : null,
        ),
      ),
    );
    (dialog.querySelector(`[data-role="${focused}"]`) ?? dialog.querySelector('[data-role="search"]'))?.focus();
  }

  /** Asks once more before it deletes. */
  function deletion(hit) {
    const said = element("p", { class: "said", role: "status" });
    const button = element("button", { type: "button", class: "quiet delete", "data-role": "delete" }, icon("delete"), "Delete");
    const sure = async () => {
      button.disabled = true;
      try {
        await deleteItem(hit.id);
        dialog.close();
        deleted(hit);
      } catch (problem) {
        button.disabled = false;
        button.focus(); // being disabled took it
        said.textContent = problem.message;
      }
    };
    button.onclick = () => {
      button.replaceChildren(icon("delete"), "Delete for good");
      button.classList.add("sure");
      said.textContent = "It leaves the catalogue. Press again to delete it.";
      button.onclick = sure;
    };
    return element("div", {}, button, said);
  }

  dialog.onkeydown = (event) => {
    if (event.target.type === "range" || all.length < 2) return; // there the arrows seek
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  dialog.onclick = (event) => event.target === dialog && dialog.close(); // the backdrop
  dialog.onclose = () => dialog.replaceChildren();
  dialog.showModal();
  show();
}

/** Close the dialog, if it is open. */
export const closeViewer = () => byId("viewer").close();

function contentOf(hit) {
  if (hit.modality === "sound") return player(hit.content, nameOf(hit), [thumbnail(hit), waveform(hit)], hit.metadata).root;
  const picture = element("img", { alt: `Picture: ${nameOf(hit)}`, draggable: "false" }); // dropped on the page it would be a file
  const fail = async () => picture.replaceWith(element("p", { class: "silent" }, (await whyNot(hit.content)) || "This browser can't show it."));
  const instead = () => {
    picture.addEventListener("error", fail, { once: true });
    loadable(hit.thumbnail, picture).then((source) => (picture.src = source), fail);
  };
  picture.addEventListener("error", instead, { once: true }); // such as a TIFF
  loadable(hit.content, picture).then((source) => (picture.src = source), instead);
  return picture;
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
  const rows = pairs.map(([key, value]) => element("div", {}, element("dt", { dir: "auto" }, key), element("dd", { dir: "auto" }, value)));
  return element("dl", {}, ...rows);
}
