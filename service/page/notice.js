// What the visitor has to be told: problems, and that the service is busy.

import { byId, element } from "./dom.js";
import { orAnswer } from "./focus.js";

const READ = 6000; // milliseconds that a sentence stays in view

let reading = 0;

/** Say it to those who listen to the page; where it is `shown`, for a while also to those who look at it. */
export function say(text, shown = false) {
  const status = byId("status");
  clearTimeout(reading);
  status.textContent = text;
  status.className = shown ? "news" : "unseen";
  if (shown) reading = setTimeout(() => (status.className = "unseen"), READ);
}

/** Show what went wrong; `again()` offers another try. A `note` is no error. */
export function showProblem({ title, detail, message, kind }, again = null) {
  const box = byId("problem");
  const retry = again && element("button", { type: "button", class: "main", onclick: again }, "Try again");
  box.classList.toggle("note-only", kind === "note");
  box.replaceChildren(element("h2", {}, title ?? "Something went wrong on this page"), element("p", {}, detail ?? message), retry ?? "");
  box.hidden = false;
  say(""); // an alert is read by itself
  hideBusy();
  if (kind !== "note") box.scrollIntoView({ block: "nearest" }); // on a phone it stands below what was given and the filters
}

export const hideProblem = () => orAnswer(() => (byId("problem").hidden = true));

let counting = 0;

/** The service is busy and is asked again in some seconds; 0 when it has answered. */
export function showBusy(seconds) {
  clearInterval(counting);
  const box = byId("busy");
  if (!seconds) {
    box.hidden = true;
    return;
  }
  let left = Math.ceil(seconds);
  const number = byId("busy-seconds");
  const count = () => (number.textContent = left > 0 ? `Asking again in ${left} s.` : "Asking again…");
  count();
  counting = setInterval(() => (left--, count()), 1000);
  if (box.hidden) say("The service is busy; it is asked again in a moment.");
  box.hidden = false;
}

export const hideBusy = () => showBusy(0);
