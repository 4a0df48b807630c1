// Searching for pictures and for sounds, and showing what was found, with the way through the memory.

import { search } from "./api.js";
import { byId, count } from "./dom.js";
import { showExplanation } from "./explanation.js";
import { keepFocus, orAnswer } from "./focus.js";
import { showPictures, showSounds, showWaiting } from "./gallery.js";
import { showWindows } from "./given.js";
import { view } from "./viewer.js";

const NOUN = { image: "picture", sound: "sound" };
const PLURAL = { image: "Pictures", sound: "Sounds" };
const sectionOf = (modality) => byId(modality === "image" ? "pictures" : "sounds");

/**
 * The results.
 *
 * @param {function(object)} ask search with an item
 * @param {function(): boolean} mayDelete whether this visitor may delete items
 * @param {function(object)} deleted told of an item that was
 */
export function makeFinding({ ask, mayDelete, deleted }) {
  const results = {
    explains: true, // until the model says that it has no memory

    /**
     * Search both modalities; a few words for each. `named` tells the best class of a new question; it is null where the
     * same one is asked among other items, and what is there stays until the answer comes.
     */
    async find(question, options, named, signal) {
      const { modality } = question;
      const other = modality === "image" ? "sound" : "image";
      // What only the other sense can find comes first; how it was found stands between.
      const why = byId("why");
      if (why.nextElementSibling !== sectionOf(modality)) byId("answer").append(sectionOf(other), why, sectionOf(modality)); // what moves loses the focus
      if (named) {
        best = named;
        linked = null;
        why.hidden = true; // it tells of the question before
      }
      const asked = { ...options, anew: Boolean(named) };
      const both = [one(question, other, asked, true, signal), one(question, modality, asked, false, signal)];
      const [crossed, alike] = await Promise.all(both);
      const hits = crossed.hits.length ? crossed : alike;
      showWindows(hits.windows, hits.hits[0]);
      linked = { modality, ...crossed, signal };
      await explain();
      return [crossed.words, alike.words];
    },

    /** Another best class is on its way for the same question. */
    rename(named) {
      best = named;
      if (linked) explain();
    },

    /** Show nothing. */
    clear() {
      for (const section of [byId("pictures"), byId("sounds")]) {
        section.hidden = true;
        section.removeAttribute("aria-busy");
        section.querySelector("ol").replaceChildren();
      }
      byId("why").hidden = true;
      linked = null;
    },
  };
  let best = null;
  let linked = null; // { modality, explanation, hits, signal }: what the memory has to do with
  return results;

  /** How the memory linked them, with the best class once it is there. */
  async function explain() {
    const { modality, explanation, hits, signal } = linked;
    const named = best;
    const top = explanation && (await Promise.resolve(named).catch(() => null));
    if (!signal.aborted && named === best) orAnswer(() => showExplanation(modality, explanation, hits, top));
  }

  async function one({ file, modality, item }, target, { k, filter, catalogue, most, anew }, crossing, signal) {
    const section = sectionOf(target);
    const list = section.querySelector("ol");
    const note = section.querySelector(".note");
    const title = section.querySelector("h2");
    title.textContent = crossing ? `${PLURAL[target]} for this ${NOUN[modality]}` : `${PLURAL[target]} like it`;
    section.hidden = false;
    const held = catalogue[`${target}s`];
    if (!held) {
      keepFocus(list, title, () => list.replaceChildren());
      note.textContent = `The catalogue holds no ${NOUN[target]}s yet.`;
      return { hits: [], words: `no ${NOUN[target]}s to be found` };
    }
    section.setAttribute("aria-busy", "true");
    note.textContent = "Listening and looking…";
    if (anew || !list.querySelector("[data-id]")) showWaiting(list, Math.min(k, held, 12));
    // Searching with an item finds the item itself: ask for one more and leave it out.
    const asked = { k: Math.min(k + (item ? 1 : 0), most), filter, windows: modality === "sound", explain: crossing && results.explains };
    const found = await search(file, modality, target, asked, signal).catch((error) => {
      if (error.kind !== "no-memory") throw error;
      results.explains = false;
      return search(file, modality, target, { ...asked, explain: false }, signal);
    });
    const hits = found.hits.filter((hit) => hit.id !== item?.id).slice(0, k);
    section.removeAttribute("aria-busy");
    note.textContent = hits.length ? "The closest first; the number is the cosine similarity, at most 1." : `No ${NOUN[target]} was found${filter ? " among those that the filter leaves" : ""}.`;
    const actions = {
      ask,
      point: (hit) => found.windows && showWindows(found.windows, hit),
      open: (number) => view(hits, number, { ask, deleted: mayDelete() ? deleted : null }),
    };
    keepFocus(list, title, () => (target === "image" ? showPictures : showSounds)(list, hits, actions));
    return { ...found, hits, words: `${count(hits.length, NOUN[target])} found` };
  }
}
