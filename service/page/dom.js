// Making elements. Text reaches the page as text nodes only, so nothing in an answer is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children; null children are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SHAPES = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M7.5 5.5h3v13h-3zM13.5 5.5h3v13h-3z",
  search: "M10.5 4a6.5 6.5 0 1 0 4 11.6l4.4 4.4 1.4-1.4-4.4-4.4A6.5 6.5 0 0 0 10.5 4zm0 2a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z",
  close: "M6.4 5 5 6.4l5.6 5.6L5 17.6 6.4 19l5.6-5.6 5.6 5.6 1.4-1.4-5.6-5.6L19 6.4 17.6 5 12 10.6z",
  back: "M14.5 5.5 8 12l6.5 6.5 1.4-1.4-5.1-5.1 5.1-5.1z",
  microphone: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 10.5v.5a6 6 0 0 0 5 5.9V20H8.5v1.5h7V20H13v-3.1a6 6 0 0 0 5-5.9v-.5h-1.8v.5a4.2 4.2 0 0 1-8.4 0v-.5z",
  camera: "M9 5 7.6 7H5a2 2 0 0 0-2 2v8.5a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2V9a2 2 0 0 0-2-2h-2.6L15 5zm3 4.2a4 4 0 1 1 0 8 4 4 0 0 1 0-8zm0 1.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6z",
  stop: "M7 7h10v10H7z",
  add: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  delete: "M9 4h6l1 2h4v2H4V6h4zM6 9.5h12L17 20H7z",
  details: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm-1 3h2v2h-2zm0 4h2v6h-2z",
  next: "M9.5 5.5 16 12l-6.5 6.5-1.4-1.4 5.1-5.1-5.1-5.1z",
};

/** A drawing that screen readers skip. */
export function icon(name) {
  return shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, shape("path", { d: SHAPES[name] }));
}

/** An element of a drawing. */
export function shape(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** `1 picture`, `2,000 pictures`. */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** 12.3 MB from bytes. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  const value = bytes / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${["kB", "MB", "GB"][power - 1]}`;
}

/** What to call an item: its label, else its file's name, else its id, shortened. */
export function nameOf(item) {
  return item.label || String(item.metadata?.path ?? "").split("/").pop() || shorten(item.id, 24);
}

/** A text of at most so many characters; what is too long lacks its middle, as names that begin alike end differently. */
export function shorten(text, most) {
  const letters = [...text];
  const kept = (most - 1) / 2;
  return letters.length > most ? `${letters.slice(0, Math.ceil(kept)).join("")}…${letters.slice(-Math.floor(kept)).join("")}` : text;
}

/** Seconds as `1.5 s`, or `2:05`. */
export function clock(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** A stretch of time as `2–4 s`, or `1:02–1:04`. */
export function stretch({ start, end }) {
  const long = (value) => `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`;
  const short = (value) => value.toFixed(1).replace(".0", "");
  return end >= 60 ? `${long(start)}–${long(end)}` : `${short(start)}–${short(end)} s`;
}

/** Cosine similarity with two digits, and a true minus sign. */
export const score = (hit) => hit.score.toFixed(2).replace("-", "\u2212");

/** 93 %, 0.4 %, never a false 0 % or 100 %. */
export function percent(probability) {
  const value = 100 * probability;
  if (value < 0.1) return "< 0.1 %";
  if (value < 9.95) return `${value.toFixed(1)} %`;
  return value > 99.4 && value < 99.95 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}
