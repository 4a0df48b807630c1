// What was found: pictures as a gallery, sounds as players, classes as bars.

import { local } from "./api.js";
import { element, icon, nameOf } from "./dom.js";
import { player } from "./player.js";

const mostBars = () => (matchMedia("(max-width: 52rem)").matches ? 3 : 5);

/** Grey tiles while a list is on its way. */
export function showWaiting(list, many) {
  list.replaceChildren(...Array.from({ length: Math.min(many, 12) }, () => element("li", { class: "waiting", "aria-hidden": "true" })));
}

/** Pictures, best first; `open(number)` when one is clicked. */
export function showPictures(list, hits, open) {
  list.replaceChildren(...hits.map((hit, number) => element("li", {}, pictureTile(hit, () => open(number)))));
}

/** Sounds, best first; `ask(item)` to search with one. */
export function showSounds(list, hits, ask) {
  list.replaceChildren(...hits.map((hit) => element("li", {}, soundCard(hit, ask))));
}

/** A few items to begin with. */
export function showSamples(box, items, ask) {
  box.replaceChildren(
    ...items.map((item) => {
      const name = nameOf(item);
      const verb = item.modality === "image" ? "Find sounds for this picture" : "Find pictures for this sound";
      return element(
        "button",
        { type: "button", class: `tile ${item.modality}`, "aria-label": `${verb}: ${name}`, onclick: () => ask(item) },
        thumbnail(item),
        element("span", { class: "caption" }, element("span", { class: "label", title: name }, name), element("span", { class: "kind" }, item.modality === "image" ? "picture" : "sound")),
      );
    }),
  );
}

function pictureTile(hit, open) {
  const name = nameOf(hit);
  return element(
    "button",
    { type: "button", class: "tile image", "aria-label": `${name}, similarity ${score(hit)}; open`, onclick: open },
    thumbnail(hit),
    element("span", { class: "caption" }, element("span", { class: "label", title: name }, name), element("span", { class: "score" }, score(hit))),
  );
}

function soundCard(hit, ask) {
  const name = nameOf(hit);
  const search = element("button", { type: "button", class: "quiet pivot", "aria-label": `Search with this sound: ${name}`, onclick: () => ask(hit) }, icon("search"), "Search");
  return element(
    "article",
    { class: "sound" },
    player(local(hit.content), name, thumbnail(hit), hit.metadata),
    element("div", { class: "caption" }, element("span", { class: "label", title: name }, name), search, element("span", { class: "score", title: "cosine similarity" }, score(hit))),
  );
}

function thumbnail(item) {
  const picture = element("img", { src: local(item.thumbnail), alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  picture.addEventListener("error", () => picture.classList.add("missing"));
  return picture;
}

/** Cosine similarity with two digits, and a true minus sign. */
export const score = (hit) => hit.score.toFixed(2).replace("-", "\u2212");

/** Bars of the most probable classes; a button shows the others. */
export function showClasses(section, classes) {
  const list = section.querySelector("ol");
  const more = section.querySelector(".more");
  const show = (many) => list.replaceChildren(...classes.slice(0, many).map(bar));
  show(mostBars());
  more.hidden = classes.length <= mostBars();
  more.textContent = `Show all ${classes.length} classes`;
  more.onclick = () => {
    show(classes.length);
    more.hidden = true;
    list.tabIndex = -1;
    list.focus();
  };
}

function bar({ label, probability }) {
  const fill = element("span", { class: "fill" });
  fill.style.setProperty("--share", probability);
  return element(
    "li",
    {},
    element("span", { class: "label" }, label),
    element("span", { class: "percent" }, percent(probability)),
    element("span", { class: "bar", "aria-hidden": "true" }, fill),
  );
}

/** 93 %, 0.4 %, never a false 0 % or 100 %. */
export function percent(probability) {
  const value = 100 * probability;
  if (value < 0.1) return "< 0.1 %";
  if (value < 9.95) return `${value.toFixed(1)} %`;
  return value > 99.4 && value < 99.95 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}
