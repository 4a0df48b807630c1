// Small pictures of items: of a sound its spectrogram, and once it is in view its waveform.

import { getBytes, loadable } from "./api.js";
import { decode, drawWave, partOf } from "./audio.js";
import { element } from "./dom.js";

const MOST_BYTES = 3e6; // of a sound that is fetched only to draw its waveform
const AT_ONCE = 2;

/** The service's small picture of an item, or words in its place. */
export function thumbnail(item, alt = "") {
  const picture = element("img", { alt, loading: "lazy", decoding: "async", draggable: "false" });
  const fail = () => picture.replaceWith(element("span", { class: "missing" }, alt && element("span", { class: "unseen" }, `${alt}: `), "can't be shown"));
  picture.addEventListener("error", fail);
  loadable(item.thumbnail, picture).then((source) => (picture.src = source), fail);
  return picture;
}

const waiting = [];
let busy = 0;

const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    waiting.push(target);
    work();
  }
}, { rootMargin: "200px" });

const items = new WeakMap();

/** A canvas that gets the waveform of a sound of the catalogue when it comes into view. */
export function waveform(item) {
  const canvas = element("canvas", { class: "wave", width: 480, height: 56, "aria-hidden": "true" });
  items.set(canvas, item);
  watcher.observe(canvas);
  return canvas;
}

async function work() {
  if (busy >= AT_ONCE || !waiting.length) return;
  busy++;
  const canvas = waiting.shift();
  try {
    if (canvas.isConnected) await draw(canvas, items.get(canvas));
  } catch {
    // a card without its waveform is still a card
  }
  busy--;
  work();
}

async function draw(canvas, { content, media_type: type, metadata = {} }) {
  const samples = await decode(await getBytes(content, MOST_BYTES), type);
  if (!samples) return;
  drawWave(canvas, partOf(samples, metadata));
  canvas.dataset.drawn = true;
}
