// A sound that can be played and sought in; of all the page's sounds one plays at a time.

import { loadable, local, whyNot } from "./api.js";
import { clock, element, icon } from "./dom.js";

let playing = null;

/** Stop whatever plays. */
export const silence = () => playing?.pause();

/**
 * A play button and a strip (a spectrogram, a waveform) that shows and sets the position.
 *
 * @param {string} link where the sound is
 * @param {string} name what to call it
 * @param {Element[]} pictures what the strip shows
 * @param {{start?: number, duration?: number}} part the seconds of the file to play
 * @param {string} called what to call it to those who hear the page, where its name is not its own
 * @returns {{root: Element, extend: function(number), playPart: function({start: number, end: number})}} the element;
 *   `extend` tells the sound's seconds where the file itself does not; `playPart` plays some of them
 */
export function player(link, name, pictures, part = {}, called = name) {
  const start = Number(part.start) || 0;
  let audio = null;
  let known = 0; // seconds, by whoever decoded the file
  let until = Infinity;
  const button = element("button", { type: "button", class: "play", onclick: toggle });
  const range = element("input", { type: "range", min: 0, max: 1, step: "any", value: 0, oninput: seek, "aria-label": `Position in ${called}` });
  const time = element("span", { class: "time", "aria-hidden": "true" });
  const strip = element("div", { class: "strip" }, ...pictures, element("div", { class: "head" }), range, time);
  const trouble = element("p", { class: "silent", role: "alert", hidden: true });
  const root = element("div", { class: "player" }, button, strip, trouble);
  paint();
  return { root, extend, playPart };

  async function load() {
    if (audio) return;
    audio = new Audio();
    trouble.hidden = true;
    for (const event of ["pause", "ended", "loadedmetadata", "seeked"]) audio.addEventListener(event, paint);
    audio.addEventListener("loadedmetadata", () => audio.currentTime || (audio.currentTime = start), { once: true });
    audio.addEventListener("play", () => {
      if (playing !== audio) silence();
      playing = audio;
      follow();
    });
    audio.addEventListener("error", fail);
    audio.src = await loadable(link, root).catch(() => local(link));
  }

  /** Once it is known how long the sound is. */
  async function ready() {
    await load();
    if (audio.readyState === 0) await new Promise((done) => audio.addEventListener("loadedmetadata", done, { once: true }));
  }

  function span() {
    const whole = audio && Number.isFinite(audio.duration) ? audio.duration : known + start;
    return Math.max(0, Math.min(Number(part.duration) || Infinity, whole - start));
  }

  function extend(seconds) {
    known = seconds;
    paint();
  }

  async function toggle() {
    await load();
    if (!audio.paused) {
      audio.pause();
      return;
    }
    until = Infinity;
    if (span() && audio.currentTime - start >= span() - 0.05) audio.currentTime = start;
    run();
  }

  async function playPart({ start: from, end }) {
    await ready();
    until = start + end;
    audio.currentTime = start + from;
    run();
  }

  function run() {
    audio.play().catch((error) => error.name === "AbortError" || fail());
  }

  async function seek() {
    const wanted = Number(range.value); // painting sets it back
    await ready();
    until = Infinity;
    audio.currentTime = start + wanted * span();
  }

  function follow() {
    paint();
    if (!audio) return;
    const over = audio.currentTime >= until || (part.duration && audio.currentTime - start >= span());
    if (!root.isConnected || over) audio.pause();
    if (!audio.paused) requestAnimationFrame(follow);
  }

  function paint() {
    const runs = Boolean(audio) && !audio.paused;
    const at = audio && span() ? Math.min(1, Math.max(0, (audio.currentTime - start) / span())) : 0;
    if (button.dataset.runs !== String(runs)) {
      button.dataset.runs = runs;
      button.replaceChildren(icon(runs ? "pause" : "play"));
      button.setAttribute("aria-label", `${runs ? "Pause" : "Play"} ${called}`);
    }
    range.value = at;
    range.setAttribute("aria-valuetext", span() ? `${(at * span()).toFixed(1)} of ${span().toFixed(1)} seconds` : "at the beginning");
    strip.style.setProperty("--at", at);
    strip.classList.toggle("begun", at > 0);
    time.textContent = span() ? (audio ? `${clock(at * span())} / ${clock(span())}` : clock(span())) : "";
  }

  /** Says why; the next press tries again. */
  async function fail() {
    if (!audio) return; // it is said already
    audio = null;
    paint();
    const why = await whyNot(link);
    if (audio) return; // another try is under way
    const save = element("a", { href: local(link), download: name }, "save it");
    trouble.replaceChildren(...(why ? [why] : ["This browser can't play this file; ", save, " to listen."]));
    trouble.hidden = false;
  }
}

/** A small button with a picture of a sound that plays it. */
export function chime(item, name, picture) {
  const start = Number(item.metadata?.start) || 0;
  const length = Number(item.metadata?.duration) || Infinity;
  let audio = null;
  const badge = element("span", { class: "badge" });
  const button = element("button", { type: "button", class: "chime", title: name, onclick: toggle }, picture, badge);
  paint();
  return button;

  async function toggle() {
    if (!audio) {
      audio = new Audio();
      for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, paint);
      audio.addEventListener("timeupdate", () => (!button.isConnected || audio.currentTime >= start + length) && audio.pause());
      audio.src = await loadable(item.content, button).catch(() => local(item.content));
    }
    if (!audio.paused) {
      audio.pause();
      return;
    }
    if (playing !== audio) silence();
    playing = audio;
    audio.currentTime = start;
    audio.play().catch((error) => {
      if (error.name !== "AbortError") audio = null; // the next press tries again
      paint();
    });
  }

  function paint() {
    const runs = Boolean(audio) && !audio.paused;
    button.dataset.runs = runs;
    badge.replaceChildren(icon(runs ? "pause" : "play"));
    button.setAttribute("aria-label", `${runs ? "Pause" : "Play"} ${name}`);
  }
}
