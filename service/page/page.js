// The page: takes a file, asks the service, shows what it found. A new question cancels the one before.

import { getFile, getItem, getItems, getModel, Problem, whenBusy } from "./api.js";
import { makeAddition } from "./addition.js";
import { decode, partOf, wavOf } from "./audio.js";
import { makeClasses } from "./classes.js";
import { byId, count, element, nameOf, size } from "./dom.js";
import { forget, labels } from "./facets.js";
import { makeFilters } from "./filters.js";
import { makeFinding } from "./finding.js";
import { orAnswer } from "./focus.js";
import { showSamples } from "./gallery.js";
import { allTold, hideGiven, showGiven, showUnreadable } from "./given.js";
import { modalityOf, takeFiles } from "./intake.js";
import { makeLock } from "./lock.js";
import { hideBusy, hideProblem, say, showBusy, showProblem } from "./notice.js";
import { silence } from "./player.js";
import { showQueue } from "./queue.js";
import { recorder } from "./recorder.js";
import { enter, entitle, here } from "./trail.js";
import { closeViewer } from "./viewer.js";

const STEPS = [6, 12, 24, 64];
const FORM_BYTES = 2048; // what a form adds to its file, generously
const NO_CATALOGUE = new Problem("No catalogue to search", "This service can say what a file is, but it has no pictures and sounds to find. Start it with --index to add some.", "note");

let model = null;
let question = null; // { file, modality, item, files }: what was asked last
let k = 12;
let running = new AbortController();
let narrowing = new AbortController(); // of a search with other filters for the same question
let fetching = new AbortController(); // of an item to search with

const filters = makeFilters(() => question && refine());
const classes = makeClasses(say, (best) => finding.rename(best));
const offerAddition = makeAddition(changed);
const finding = makeFinding({ ask: pivot, mayDelete: () => model.writable, deleted: removed });

// -- the model ------------------------------------------------------------------------------------------------------

async function begin() {
  if ((await meet(begin)) && !question) recall();
}

/** Ask what the entry of the browser's history asks: on load, Back and Forward. */
function recall() {
  if (!model) return; // it comes to this once it is there
  const { id, question: before } = here();
  if (id) pivot({ id }, true);
  else if (before) ask(before, true);
  else start();
}

/** Nothing is asked yet, or any more. */
function start() {
  renew();
  closeViewer();
  entitle("");
  question = null;
  orAnswer(() => {
    hideGiven();
    hideProblem();
    clear();
    byId("queue").hidden = true;
    byId("main").dataset.state = "empty";
  });
  document.querySelector(".drop .call").textContent = "Give a sound or a picture";
  offerAddition(null);
  say("");
  welcome();
}

/** Ask the service what it is; where it does not say, false, and `again()` is offered. */
async function meet(again) {
  hideProblem();
  try {
    model = await getModel();
  } catch (problem) {
    byId("about").textContent = problem.kind === "unreachable" ? "no connection" : "no answer";
    showProblem(problem, again);
    return false;
  }
  tellCounts();
  hasLabels(); // so that it is known when it is needed
  return true;
}

/** What there is to begin with, or why there is nothing. */
function welcome() {
  if (question) return;
  if (!model.catalogue) {
    showProblem(NO_CATALOGUE);
  } else if (!holdsAny()) {
    showProblem(new Problem("The catalogue is empty", "There is nothing to find yet. Give a sound or a picture, and add it; or fill the catalogue from a folder with bma index build.", "note"));
  } else {
    offer();
  }
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

/** With another key the same model may allow and hold something else. */
async function unlocked() {
  forget();
  filters.refresh();
  if (!(await meet(unlocked))) return;
  if (question) answer(renew());
  else welcome();
}

// -- the question ---------------------------------------------------------------------------------------------------

async function take(files) {
  if (!files.length) {
    refuse(new Problem("That was not a file", "Drop a sound or picture file, for example from your desktop."));
    return;
  }
  if (!model && !(await meet(() => take(files)))) return;
  const given = files.map((file) => ({ file, modality: modalityOf(file), item: null, files }));
  ask(given.find((one) => !faultOf(one)) ?? given[0]);
}

/** Search with something that the catalogue holds; `entered` where the history has it, which knows no more than its id. */
async function pivot(item, entered = false) {
  fetching.abort();
  fetching = new AbortController();
  const { signal } = fetching;
  say(`Fetching ${nameOf(item)}…`);
  try {
    const whole = entered ? await getItem(item.id, signal) : item;
    const file = await cut(await getFile(whole, nameOf(whole), signal), whole);
    signal.throwIfAborted();
    ask({ file, modality: whole.modality, item: whole, files: [] }, entered);
  } catch (error) {
    if (signal.aborted) return;
    if (!question) welcome();
    refuse(error, () => pivot(item, entered));
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

/** Why it can't be asked, or null. */
function faultOf({ file, modality }) {
  const limit = model.limits?.upload_bytes;
  if (!modality) return new Problem("Neither a sound nor a picture", `${file.name} is of another kind. Give a picture (JPEG, PNG, WebP…) or a sound (WAV, MP3, FLAC, Ogg…); of a video its sound counts.`);
  if (!file.size) return new Problem("There is nothing in the file", `${file.name} is empty; it may not have been saved to its end.`);
  if (limit && file.size + FORM_BYTES > limit) return new Problem("The file is too large", `${file.name} has ${size(file.size)}, and this service takes ${size(limit)}. Give a smaller or shorter one.`);
  return null;
}

/** Say why something can't be asked; what was asked before stays. `again()` is offered where it may go well. */
function refuse(problem, again) {
  closeViewer(); // it would hide what is wrong
  showProblem(problem, problem.passing ? again : null);
}

/** Ask it; `entered` where the history has it already. */
async function ask(next, entered = false) {
  const fault = faultOf(next);
  if (fault) {
    refuse(fault);
    return;
  }
  const signal = renew();
  closeViewer();
  if (!entered) enter(next);
  entitle(next.file.name);
  question = next;
  const { modality } = question;
  byId("main").dataset.state = "asked";
  byId("samples").hidden = true;
  document.querySelector(".drop .call").textContent = "Give another";
  showQueue(question, (file) => ask({ ...question, file, modality: modalityOf(file) }));
  showGiven(question, { windowSeconds: model.window_seconds, classes: isTrained(modality) || holdsAny(), matches: holdsAny() }, signal);
  offerNarrowing(Boolean(model.catalogue));
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

/** The same question among other items, or for another number of them; `news` of the catalogue is said before. */
async function refine(news = "") {
  narrowing.abort();
  narrowing = new AbortController();
  const signal = AbortSignal.any([running.signal, narrowing.signal]);
  hideProblem();
  const [{ value: words = [], reason }] = await Promise.allSettled([finding.find(question, options(), null, signal)]);
  if (signal.aborted) return;
  if (reason) fail(reason);
  say([news, ...words].filter(Boolean).join(", "), Boolean(news));
}

function fail(problem) {
  clear();
  if (problem.ofFile) orAnswer(() => (showUnreadable(), offerNarrowing(false)));
  const again = problem.passing ? () => answer(renew()) : null;
  showProblem(problem, again);
}

/** Of how many matches, and which. */
const offerNarrowing = (may) => (byId("filters").hidden = byId("k").parentElement.hidden = !may);

// -- the catalogue --------------------------------------------------------------------------------------------------

/** It is another now: so are its counts, and what is found in it. */
async function changed(news) {
  forget();
  filters.refresh();
  model = await getModel().catch(() => model);
  tellCounts();
  if (question) refine(news);
}

function removed(item) {
  changed(`${nameOf(item)} is deleted`);
}

// -- what the visitor sees ------------------------------------------------------------------------------------------

/** Show nothing that was found. */
const clear = () => orAnswer(() => (finding.clear(), classes.clear()));

/** Cancel what runs; the signal of what comes next. */
function renew() {
  running.abort();
  fetching.abort();
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
makeLock(unlocked);
byId("camera").parentElement.hidden = !navigator.maxTouchPoints; // elsewhere it would be the file dialog once more
takeFiles(byId("file"), byId("camera"), take);
recorder(byId("record"), take, (problem) => showProblem(problem));
addEventListener("popstate", recall);
document.querySelector(".skip").addEventListener("click", (event) => (event.preventDefault(), byId("answer").focus())); // its fragment would be an entry of the history
begin();
