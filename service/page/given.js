// What the visitor gave: the picture, or the sound with its spectrogram, its windows, and which of them matched.

import { decode, drawWave, RATE } from "./audio.js";
import { byId, element, icon, nameOf, size, stretch } from "./dom.js";
import { fillHeard, ROWS } from "./heard.js";
import { player } from "./player.js";
import { colour, drawSpectrogram } from "./spectrogram.js";

const MOST_LINES = 60; // of windows; more would hide the spectrogram

let preview = "";
let sound = null; // { player, lines, heard, legend, track, moment, awaits }

/**
 * Show a file, all of what is searched with; `item` is the one of the catalogue that it comes from, if any.
 *
 * @param {object} question `{ file, modality, item }`
 * @param {{windowSeconds: number, classes: boolean, matches: boolean}} awaits what will be told of the windows of a
 *   sound that has several: room is kept for it, until `allTold`
 * @param {AbortSignal} signal
 */
export function showGiven({ file, modality, item }, awaits, signal) {
  URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  sound = null;
  const box = byId("given");
  const about = element("p", { class: "file" }, element("span", { class: "label", dir: "auto", title: file.name }, file.name), element("span", { class: "kind" }, item ? "from the catalogue" : size(file.size)));
  if (modality === "image") {
    const picture = element("img", { src: preview, alt: `Your picture: ${file.name}`, decoding: "async", draggable: "false" });
    picture.addEventListener("error", () => picture.replaceWith(element("p", { class: "silent blank" }, "No preview: this browser can't show it.")));
    box.replaceChildren(picture, about);
  } else {
    box.replaceChildren(...makeSound(file, awaits, signal), about);
  }
  box.className = `given ${modality}`;
  box.hidden = false;
}

function makeSound(file, awaits, signal) {
  const picture = element("canvas", { class: "spectrum", width: 600, height: 96, "aria-hidden": "true" });
  const lines = element("canvas", { class: "lines", width: 600, height: 96, "aria-hidden": "true" });
  const wave = element("canvas", { class: "wave", width: 600, height: 64, "aria-hidden": "true" });
  const heard = element("ol", { class: "heard", "aria-label": "What is heard when" });
  const legend = element("ul", { class: "legend", "aria-label": "Its classes" });
  const track = element("canvas", { class: "track", width: 600, height: 12, "aria-hidden": "true" });
  const moment = element("div", { class: "moment" });
  const plays = player(preview, file.name, [picture, lines, wave]);
  const made = (sound = { player: plays, lines, heard, legend, track, moment, awaits });
  hear(file, signal).then(async (samples) => {
    if (!samples || signal.aborted) return;
    const seconds = samples.length / RATE;
    plays.extend(seconds);
    const { windowSeconds, classes, matches } = made.awaits;
    const several = seconds >= 1.5 * windowSeconds;
    for (const part of [heard, legend]) part.classList.toggle("expected", several && classes);
    legend.style.setProperty("--rows", Math.min(ROWS, Math.round(seconds / windowSeconds)));
    for (const part of [track, moment]) part.classList.toggle("expected", several && matches);
    drawWave(wave, samples, 120);
    await drawSpectrogram(picture, samples, signal);
    picture.dataset.drawn = true;
  });
  return [plays.root, heard, legend, track, moment];
}

async function hear(file, signal) {
  const bytes = await file.arrayBuffer();
  return signal.aborted ? null : decode(bytes, file.type || (/\.(wav|flac)$/i.test(file.name) ? "audio/wav" : ""));
}

/** Where the model's windows meet. */
function drawLines(canvas, windows) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (windows.length > MOST_LINES) return;
  pen.fillStyle = "rgb(255 255 255 / 55%)";
  for (const { start } of windows.slice(1)) {
    for (let y = 0; y < canvas.height; y += 6) pen.fillRect(Math.round((start / windows.at(-1).end) * canvas.width), y, 1.5, 3);
  }
}

/** How well each window of the sound matches a hit; the best one can be played. Without a hit, or windows, nothing. */
export function showWindows(windows, hit) {
  if (!sound) return;
  const { lines, track, moment } = sound;
  const told = windows?.length > 1 && Boolean(hit?.window_scores);
  track.classList.toggle("drawn", told);
  for (const part of [track, moment]) part.classList.toggle("expected", told); // another match takes the same room
  if (!told) {
    moment.replaceChildren();
    return;
  }
  drawLines(lines, windows);
  const scores = hit.window_scores;
  const pen = track.getContext("2d");
  const whole = windows.at(-1).end;
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  pen.clearRect(0, 0, track.width, track.height);
  windows.forEach(({ start, end }, number) => {
    const share = high > low ? (scores[number] - low) / (high - low) : 1;
    const gap = windows.length > 150 ? 0 : 2;
    pen.fillStyle = `rgb(${colour(0.25 + 0.6 * share).map(Math.round).join(" ")})`;
    pen.fillRect((start / whole) * track.width, 0, Math.max(1, ((end - start) / whole) * track.width - gap), track.height);
  });
  const play = element("button", { type: "button", class: "quiet", onclick: () => playWindow(hit.window) }, icon("play"), `Play ${stretch(hit.window)}`);
  const words = element("p", {}, `Its ${windows.length} windows, brighter where they match better. Of `, element("b", { dir: "auto" }, nameOf(hit)), " the best is ", element("span", { class: "nowrap" }, `${stretch(hit.window)}.`));
  const pressed = moment.contains(document.activeElement);
  moment.replaceChildren(words, play);
  if (pressed) play.focus({ preventScroll: true });
}

/** The class of each window of the sound. */
export function showHeard(windows) {
  if (sound && windows?.length > 1) fillHeard(sound.heard, sound.legend, windows);
}

/** No more is on its way: what is empty needs no room. */
export function allTold() {
  if (!sound) return;
  const { heard, legend, track, moment } = sound;
  const matched = moment.children.length > 0; // it keeps its height, whichever match is pointed at
  sound.awaits = { ...sound.awaits, classes: false, matches: matched };
  legend.classList.remove("expected"); // it has the rows that it needs
  if (!heard.children.length) heard.classList.remove("expected");
  if (!matched) for (const part of [track, moment]) part.classList.remove("expected");
}

/** Play the seconds of a window. */
export const playWindow = (window) => sound?.player.playPart(window);

/** A small copy of what was given, for the explanation. */
export function smallGiven() {
  const picture = byId("given").querySelector(":scope > img, .spectrum");
  if (!picture) return null;
  if (picture.tagName === "IMG") return element("img", { src: picture.src, alt: "", draggable: "false" });
  const copy = element("canvas", { width: picture.width, height: picture.height, class: "spectrum" });
  const paint = () => copy.getContext("2d").drawImage(picture, 0, 0);
  if (picture.dataset.drawn) paint();
  else new MutationObserver((_, watch) => (paint(), watch.disconnect())).observe(picture, { attributeFilter: ["data-drawn"] });
  return copy;
}

/** The service can't read it: of a sound there is nothing to draw, and no more to play. */
export function showUnreadable() {
  if (!sound) return;
  byId("given").replaceChildren(byId("given").querySelector(".file"));
  sound = null;
}

/** Forget it. */
export function hideGiven() {
  byId("given").hidden = true;
  sound = null;
}
