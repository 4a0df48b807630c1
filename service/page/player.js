// A sound that can be played and sought in; of all the page's sounds one plays at a time.

import { element, icon } from "./dom.js";

let playing = null;

/** Stop whatever plays. */
export const silence = () => playing?.pause();

/**
 * A play button and a strip (a spectrogram, a waveform) that shows and sets the position.
 *
 * @param {string} source where the sound is
 * @param {string} name what to call it
 * @param {Element|null} picture what the strip shows
 * @param {{start?: number, duration?: number}} part the seconds of the file to play
 */
export function player(source, name, picture, part = {}) {
  const start = Number(part.start) || 0;
  let audio = null;
  const button = element("button", { type: "button", class: "play", onclick: toggle });
  const range = element("input", { type: "range", min: 0, max: 1, step: "any", value: 0, oninput: seek });
  range.setAttribute("aria-label", `Position in ${name}`);
  const time = element("span", { class: "time", "aria-hidden": "true" });
  const strip = element("div", { class: "strip" }, picture, element("div", { class: "head" }), range, time);
  const root = element("div", { class: "player" }, button, strip);
  paint();
  return root;

  function load() {
    if (audio) return audio;
    audio = new Audio(source);
    audio.currentTime = start;
    for (const event of ["pause", "ended", "loadedmetadata", "seeked"]) audio.addEventListener(event, paint);
    audio.addEventListener("play", () => {
      if (playing !== audio) silence();
      playing = audio;
      follow();
    });
    audio.addEventListener("error", fail);
    return audio;
  }

  function span() {
    const whole = audio && Number.isFinite(audio.duration) ? audio.duration : 0;
    return Math.max(0, Math.min(Number(part.duration) || Infinity, whole - start));
  }

  function toggle() {
    load();
    if (!audio.paused) {
      audio.pause();
      return;
    }
    if (span() && audio.currentTime - start >= span() - 0.05) audio.currentTime = start;
    audio.play().catch((error) => error.name === "AbortError" || fail());
  }

  function seek() {
    const wanted = Number(range.value); // painting sets it back
    load();
    const move = () => (audio.currentTime = start + wanted * span());
    if (span()) move();
    else audio.addEventListener("loadedmetadata", move, { once: true });
  }

  function follow() {
    paint();
    if (!root.isConnected || (part.duration && audio.currentTime - start >= span())) audio.pause();
    if (!audio.paused) requestAnimationFrame(follow);
  }

  function paint() {
    const runs = Boolean(audio) && !audio.paused;
    const at = span() ? Math.min(1, Math.max(0, (audio.currentTime - start) / span())) : 0;
    if (button.dataset.runs !== String(runs)) {
      button.dataset.runs = runs;
      button.replaceChildren(icon(runs ? "pause" : "play"));
      button.setAttribute("aria-label", `${runs ? "Pause" : "Play"} ${name}`);
    }
    range.value = at;
    range.setAttribute("aria-valuetext", span() ? `${(at * span()).toFixed(1)} of ${span().toFixed(1)} seconds` : "at the beginning");
    strip.style.setProperty("--at", at);
    strip.classList.toggle("begun", at > 0);
    time.textContent = span() ? `${clock(at * span())} / ${clock(span())}` : "";
  }

  function fail() {
    const link = element("a", { href: source, download: name }, "save it");
    root.replaceChildren(element("p", { class: "silent" }, "This browser can't play this file; ", link, " to listen."));
  }
}

function clock(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

const MOST_BYTES = 24e6; // beyond this, decoding in the browser would take too much memory

/** A canvas with a sound file's waveform; stays blank when the browser can't decode it. */
export function waveform(file) {
  const canvas = element("canvas", { class: "wave", width: 640, height: 128, "aria-hidden": "true" });
  if (file.size <= MOST_BYTES) draw(canvas, file).catch(() => {});
  return canvas;
}

async function draw(canvas, file) {
  const context = new OfflineAudioContext(1, 1, 22050);
  const samples = (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0);
  const { width, height } = canvas;
  const bars = 80;
  const peaks = Array.from({ length: bars }, (_, bar) => {
    let peak = 0;
    const end = Math.floor(((bar + 1) * samples.length) / bars);
    for (let at = Math.floor((bar * samples.length) / bars); at < end; at++) peak = Math.max(peak, Math.abs(samples[at]));
    return peak;
  });
  const loudest = Math.max(...peaks, 1e-4);
  const pen = canvas.getContext("2d");
  const colours = pen.createLinearGradient(0, 0, width, 0);
  [["0", "#a04bc0"], ["0.5", "#d8456c"], ["1", "#f98e09"]].forEach(([at, colour]) => colours.addColorStop(Number(at), colour));
  pen.fillStyle = colours;
  peaks.forEach((peak, bar) => {
    const tall = Math.max(4, (peak / loudest) * (height - 20));
    pen.beginPath();
    pen.roundRect((bar * width) / bars + 1.5, (height - tall) / 2, width / bars - 3, tall, 3);
    pen.fill();
  });
}
