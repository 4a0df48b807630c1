// The page: takes a file, asks the service, shows what it found. A new question cancels the one before.

import { getFile, getItems, getModel, Problem, whenBusy } from "./api.js";
import { makeAddition } from "./addition.js";
import { decode, partOf, wavOf } from "./audio.js";
import { makeClasses } from "./classes.js";
import { byId, count, element, nameOf, size } from "./dom.js";
import { forget, labels } from "./facets.js";
import { makeFilters } from "./filters.js";
import { makeFinding } from "./finding.js";
import { orAnswer } from "./focus.js";
import { showSamples } from "./gallery.js";
import { allTold, hideGiven, showGiven } from "./given.js";
import { modalityOf, takeFiles } from "./intake.js";
import { hideBusy, hideProblem, say, showBusy, showProblem } from "./notice.js";
import { silence } from "./player.js";
import { recorder } from "./recorder.js";

const STEPS = [6, 12, 24, 64];
const FORM_BYTES = 2048; // what a form adds to its file, generously
const NO_CATALOGUE = new Problem("No catalogue to search", "This service can say what a file is, but it has no pictures and sounds to find. Start it with --index to add some.", "note");

let model = null;
let question = null; // { file, modality, item }: what was asked last
let k = 12;
let running = new AbortController();
let narrowing = new AbortController(); // of a search with other filters for the same question

const filters = makeFilters(() => question && refine());
const classes = makeClasses(say, (best) => finding.rename(best));
const offerAddition = makeAddition(changed);
const finding = makeFinding({ ask: pivot, mayDelete: () => model.writable, deleted: removed });

// -- the model ------------------------------------------------------------------------------------------------------

async function meet() {
  hideProblem();
  try {
    model = await getModel();
  } catch (problem) {
    byId("about").textContent = problem.kind === "unreachable" ? "no connection" : "no answer";
    showProblem(problem, meet);
    return false;
  }
  const { catalogue } = model;
  tellCounts();
  byId("filters").hidden = byId("k").parentElement.hidden = !catalogue;
  if (!catalogue) {
    showProblem(NO_CATALOGUE);
  } else if (catalogue.images + catalogue.sounds === 0) {
    showProblem(new Problem("The catalogue is empty", "There is nothing to find yet. Give a sound or a picture, and add it; or fill the catalogue from a folder with bma index build.", "note"));
  } else if (!question) {
    offer();
  }
  hasLabels(); // so that it is known when it is needed
  return true;
}

function tellCounts() {
  const { name, catalogue } = model;
  const holds = catalogue ? `${count(catalogue.images, "picture")} · ${count(catalogue.sounds, "sound")}` : "no catalogue";
  byId("about").replaceChildren(element("span", { class: "name" }, name), element("span", {}, holds));
}

/** Items of the catalogue to click, so that a first visit needs no file. */
async function offer() {
  const { items } = await getItems(100).catch(() => ({ items: [] })); // a page without samples is still a page
  const chosen = [...varied(items, "image", 0), ...varied(items, "sound", 4)];
  if (question || !chosen.length) return;
  showSamples(byId("samples").querySelector(".tiles"), chosen, pivot);
  byId("samples").hidden = false;
}

/** Four items of a modality, of as many classes as there are; `skip` classes are left to others. */
function varied(items, modality, skip) {
  const fitting = items.filter((item) => item.modality === modality);
  const labels = [...new Set(fitting.map((item) => item.label))];
  const turned = [...labels.slice(skip % labels.length), ...labels.slice(0, skip % labels.length)];
  const firsts = turned.map((label) => fitting.find((item) => item.label === label));
  return [...new Set([...firsts, ...fitting])].slice(0, 4);
}

// -- the question ---------------------------------------------------------------------------------------------------

function take(files) {
  if (!files.length) {
    refuse("That was not a file", "Drop a sound or picture file, for example from your desktop.");
    return;
  }
  const queue = byId("queue");
  queue.hidden = files.length < 2;
  queue.replaceChildren(
    ...files.map((file) => {
      const choose = () => {
        for (const other of queue.querySelectorAll("button")) other.removeAttribute("aria-current");
        button.setAttribute("aria-current", "true");
        ask(file);
      };
      const button = element("button", { type: "button", dir: "auto", onclick: choose }, file.name);
      return element("li", {}, button);
    }),
  );
  queue.querySelector("button").click();
}

/** Search with something that the catalogue holds. */
async function pivot(item) {
  const signal = renew();
  byId("queue").hidden = true;
  say(`Fetching ${nameOf(item)}…`);
  try {
    const file = await cut(await getFile(item, nameOf(item), signal), item);
    signal.throwIfAborted();
    await ask(file, item);
  } catch (error) {
    if (!signal.aborted) refuse(error.title ?? "The item can't be fetched", error.message);
  }
}

/** Of an item's file the seconds that the item is. What the browser can't decode stays whole, and is called so. */
async function cut(file, { modality, metadata }) {
  if (modality !== "sound" || !(metadata?.start || metadata?.duration)) return file;
  const samples = await decode(await file.arrayBuffer(), file.type);
  if (!samples) return new File([file], `${file.name} (whole file)`, { type: file.type });
  const part = partOf(samples, metadata);
  return part === samples ? file : new File([wavOf(part)], file.name, { type: "audio/wav" });
}

async function ask(file, item = null) {
  const signal = renew();
  const modality = item?.modality ?? modalityOf(file);
  if (!modality) {
    refuse("Neither a sound nor a picture", `${file.name} is of another kind. Give a picture (JPEG, PNG, WebP…) or a sound (WAV, MP3, FLAC, Ogg…); of a video its sound counts.`);
    return;
  }
  if (!model && !(await meet())) return;
  const limit = model.limits?.upload_bytes;
  if (limit && file.size + FORM_BYTES > limit) {
    refuse("The file is too large", `${file.name} has ${size(file.size)}, and this service takes ${size(limit)}. Give a smaller or shorter one.`);
    return;
  }
  if (signal.aborted) return;
  question = { file, modality, item };
  byId("main").dataset.state = "asked";
  byId("samples").hidden = true;
  document.querySelector(".drop .call").textContent = "Give another";
  showGiven(question, { windowSeconds: model.window_seconds, classes: isTrained(modality) || holdsAny(), matches: holdsAny() }, signal);
  offerAddition(null);
  scrollTo({ top: 0 });
  const answered = answer(signal);
  const focused = document.activeElement;
  const goes = byId("answer").contains(focused) || !focused.getClientRects().length; // what was clicked
  if (goes || focused === document.body) byId("given").focus();
  await answered;
}

async function answer(signal) {
  const { file, modality, item } = question;
  hideProblem();
  say(`Searching with ${file.name}…`);
  const named = classes.name(file, modality, { trained: isTrained(modality), labels: hasLabels() }, finding.explains, signal);
  const found = model.catalogue ? finding.find(question, options(), named, signal) : [];
  const [naming, search] = await Promise.allSettled([named, found]);
  if (signal.aborted) return;
  allTold();
  // Where nothing is searched, the file itself may be what nobody could name.
  const failed = search.reason ?? (holdsAny() ? null : naming.reason);
  if (failed) {
    fail(failed);
    return;
  }
  classes.tell();
  const [best, words] = [naming.value, search.value];
  if (!model.catalogue) {
    showProblem(best ? NO_CATALOGUE : new Problem("Nothing to answer with", "This service has no catalogue and its model names no classes; it gives vectors only, through the API.", "note"));
  }
  say([...words, ...(best ? [`most likely ${best.label}`] : [])].join(", "));
  if (!item) offerAddition(model.writable ? question : null);
}

const isTrained = (modality) => model.classes?.[modality]?.length > 0;

const holdsAny = () => Boolean(model.catalogue && model.catalogue.images + model.catalogue.sounds);

/** Whether items of the catalogue have labels; where that can't be told, they are not offered. */
const hasLabels = async () => holdsAny() && (await labels().catch(() => ({ labels: [] }))).labels.length > 0;

const options = () => ({ k, filter: filters.filter(), catalogue: model.catalogue, most: model.limits?.k ?? Infinity });

/** The same question among other items, or for another number of them. */
async function refine() {
  narrowing.abort();
  narrowing = new AbortController();
  const signal = AbortSignal.any([running.signal, narrowing.signal]);
  hideProblem();
  try {
    say((await finding.find(question, options(), null, signal)).join(", "));
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

function fail(problem) {
  clear();
  const again = problem.passing ? () => answer(renew()) : null;
  showProblem(problem, again);
  say(byId("problem").innerText);
}

// -- the catalogue --------------------------------------------------------------------------------------------------

/** It is another now: so are its counts, and what is found in it. */
async function changed() {
  forget();
  filters.refresh();
  model = await getModel().catch(() => model);
  tellCounts();
  if (question) refine();
}

function removed(item) {
  say(`${nameOf(item)} is deleted`);
  changed();
}

// -- what the visitor sees ------------------------------------------------------------------------------------------

function refuse(title, detail) {
  renew();
  question = null;
  hideGiven();
  offerAddition(null);
  clear();
  const samples = byId("samples");
  samples.hidden = !samples.querySelector("button");
  byId("main").dataset.state = "empty";
  showProblem(new Problem(title, detail));
  say(`${title}. ${detail}`);
}

/** Show nothing that was found. */
const clear = () => orAnswer(() => (finding.clear(), classes.clear()));

/** Cancel what runs; the signal of what comes next. */
function renew() {
  running.abort();
  running = new AbortController();
  silence();
  hideBusy();
  return running.signal;
}

// -- beginning ------------------------------------------------------------------------------------------------------

byId("k").replaceChildren(
  ...STEPS.map((step) => {
    const radio = element("input", { type: "radio", name: "k", value: step, checked: step === k });
    radio.addEventListener("change", () => {
      k = step;
      if (question) refine();
    });
    return element("label", {}, radio, element("span", {}, String(step)));
  }),
);
whenBusy(showBusy);
byId("camera").parentElement.hidden = !navigator.maxTouchPoints; // elsewhere it would be the file dialog once more
takeFiles(byId("file"), byId("camera"), take);
recorder(byId("record"), take, (problem) => showProblem(problem));
meet();
