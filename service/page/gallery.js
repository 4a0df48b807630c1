// What was found: pictures as a gallery, sounds as players; and what to begin with.

import { element, icon, nameOf, score, stretch } from "./dom.js";
import { playWindow } from "./given.js";
import { player } from "./player.js";
import { thumbnail, waveform } from "./thumbnail.js";
import { askLink } from "./trail.js";

/** Grey tiles of the size of what is coming. */
export function showWaiting(list, many) {
  list.replaceChildren(...Array.from({ length: many }, () => element("li", { class: "waiting", "aria-hidden": "true" }, element("div", { class: "shape" }), element("div", { class: "caption" }, "\u00a0"))));
}

/** Pictures, best first. `open(number)` when one is opened, `point(hit)` when one is pointed at. */
export function showPictures(list, hits, { open, point }) {
  list.replaceChildren(...hits.map((hit, number) => pointed(hit, point, pictureTile(hit, calledIn(hits, number), () => open(number)), momentOf(hit, number, "over"))));
}

/** Sounds, best first. */
export function showSounds(list, hits, { open, point, ask }) {
  list.replaceChildren(...hits.map((hit, number) => pointed(hit, point, soundCard(hit, calledIn(hits, number), () => open(number), ask, momentOf(hit, number)))));
}

/** For those who hear the page: many matches have the same name, and only their places tell them apart. */
const calledIn = (hits, number) => `match ${number + 1} of ${hits.length}: ${nameOf(hits[number])}`;

function pointed(hit, point, ...children) {
  return element("li", { onmouseenter: () => point(hit), onfocusin: () => point(hit), "data-id": hit.id }, ...children);
}

/** A few items to begin with. */
export function showSamples(box, items, ask) {
  box.replaceChildren(
    ...items.map((item) => {
      const name = nameOf(item);
      const verb = item.modality === "image" ? "Find sounds for this picture" : "Find pictures for this sound";
      return askLink(
        item,
        ask,
        { class: `tile ${item.modality}` },
        thumbnail(item),
        caption(label(name), element("span", { class: "kind" }, item.modality === "image" ? "picture" : "sound")),
        element("span", { class: "unseen" }, `${verb}: ${name}`),
      );
    }),
  );
}

/** What is seen below a picture; what is heard in its place is one sentence. */
const caption = (...parts) => element("span", { class: "caption", "aria-hidden": "true" }, ...parts);

const label = (name) => element("span", { class: "label", dir: "auto", title: name }, name);

function pictureTile(hit, called, open) {
  return element(
    "button",
    { type: "button", class: "tile image", onclick: open },
    thumbnail(hit),
    caption(label(nameOf(hit)), element("span", { class: "score" }, score(hit))),
    element("span", { class: "unseen" }, `Open ${called}, similarity ${score(hit)}`),
  );
}

function soundCard(hit, called, open, ask, moment) {
  const name = nameOf(hit);
  const search = askLink(hit, ask, { class: "quiet pivot", "aria-label": `Search with ${called}` }, icon("search"), "Search");
  const details = element("button", { type: "button", class: "quiet", "aria-label": `Details of ${called}`, onclick: open }, icon("details"));
  return element(
    "article",
    { class: "sound" },
    player(hit.content, name, [thumbnail(hit), waveform(hit)], hit.metadata, called).root,
    element("div", { class: "caption" }, label(name), element("span", { class: "score", title: "cosine similarity" }, score(hit))),
    element("div", { class: "tools" }, moment, search, details),
  );
}

/** A button with the seconds of the given sound that matched a hit best; nothing where there is only one window. */
function momentOf(hit, number, kind = "") {
  if (!hit.window || hit.window_scores.length < 2) return null;
  const when = stretch(hit.window);
  return element("button", { type: "button", class: `when ${kind}`, "aria-label": `Play ${when} of your sound, which fit match ${number + 1} best: ${nameOf(hit)}`, title: "What matched best in your sound", onclick: () => playWindow(hit.window) }, icon("play"), when);
}
