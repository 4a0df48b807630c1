// The page: takes a file, asks the service, shows what it found. A new question cancels the one before.

import { classify, getFile, getItems, getModel, local, Problem, search } from "./api.js";
import { byId, count, element, nameOf, size } from "./dom.js";
import { modalityOf, takeFiles } from "./intake.js";
import { player, silence, waveform } from "./player.js";
import { percent, showClasses, showPictures, showSamples, showSounds, showWaiting } from "./results.js";
import { view } from "./viewer.js";

const STEPS = [6, 12, 24, 48];
const FORM_BYTES = 2048; // what a form adds to its file, generously
const NOUN = { image: "picture", sound: "sound" };
const PLURAL = { image: "Pictures", sound: "Sounds" };

let model = null;
let question = null; // { file, modality, item }: what was asked last
let k = 12;
let running = new AbortController();
let preview = "";

// -- the model ------------------------------------------------------------------------------------------------------

async function meet() {
  hideProblem();
  try {
    model = await getModel();
  } catch (problem) {
    byId("about").textContent = "no connection";
    showProblem(problem, () => meet());
    return false;
  }
  const { name, catalogue } = model;
  const holds = catalogue ? `${count(catalogue.images, "picture")} · ${count(catalogue.sounds, "sound")}` : "no catalogue";
  byId("about").replaceChildren(element("span", { class: "name" }, name), element("span", {}, holds));
  if (!catalogue) {
    showProblem(new Problem("No catalogue to search", "This service can say what a file is, but it has no pictures and sounds to find. Start it with --index to add some.", "note"));
  } else if (!question) {
    offer();
  }
  return true;
}

/** Items of the catalogue to click, so that a first visit needs no file. */
async function offer() {
  let items;
  try {
    items = await getItems(100);
  } catch {
    return; // a page without samples is still a page
  }
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
      const button = element("button", { type: "button", onclick: choose }, file.name);
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
    await ask(await getFile(item, nameOf(item), signal), item);
  } catch (error) {
    if (!signal.aborted) refuse(error.title ?? "The item can't be fetched", error.message);
  }
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
  showGiven();
  scrollTo({ top: 0 });
  const answered = answer(signal);
  const focused = document.activeElement;
  if (focused === document.body || !focused.getClientRects().length) byId("given").focus(); // what was clicked has gone
  await answered;
}

async function answer(signal) {
  const { file, modality, item } = question;
  const other = modality === "image" ? "sound" : "image";
  const words = [];
  byId("main").dataset.state = "asked";
  byId("samples").hidden = true;
  hideProblem();
  say(`Searching with ${file.name}…`);

  // What only the other sense can find comes first.
  byId("answer").append(...[other, modality].map(sectionOf));
  const asked = model.catalogue ? [other, modality].map((target) => find(target)) : [];
  asked.push(name());
  const problems = (await Promise.allSettled(asked)).filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  if (signal.aborted) return;
  if (problems.length) {
    clearResults();
    const [problem] = problems;
    showProblem(problem, problem.kind === "unreachable" || problem.kind === "internal" ? () => answer(renew()) : null);
    say(byId("problem").innerText);
    return;
  }
  if (!words.length) {
    showProblem(new Problem("Nothing to answer with", "This service has no catalogue and its model names no classes; it gives vectors only, through the API.", "note"));
  }
  say(words.join(", "));

  async function find(target) {
    const section = sectionOf(target);
    const list = section.querySelector("ol");
    const note = section.querySelector(".note");
    section.querySelector("h2").textContent = target === modality ? `${PLURAL[target]} like it` : `${PLURAL[target]} for this ${NOUN[modality]}`;
    section.hidden = false;
    if (!model.catalogue[`${target}s`]) {
      list.replaceChildren();
      note.textContent = `The catalogue holds no ${NOUN[target]}s yet.`;
      return;
    }
    section.setAttribute("aria-busy", "true");
    note.textContent = "Listening and looking…";
    showWaiting(list, k);
    // Searching with an item finds the item itself: ask for one more and leave it out.
    const most = Math.min(k + (item ? 1 : 0), model.limits?.k ?? Infinity);
    const found = (await search(file, modality, target, most, signal)).filter((hit) => hit.id !== item?.id).slice(0, k);
    section.removeAttribute("aria-busy");
    note.textContent = found.length ? "The closest first; the number is the cosine similarity, at most 1." : `No ${NOUN[target]} was found.`;
    if (target === "image") showPictures(list, found, (number) => view(found, number, pivot));
    else showSounds(list, found, pivot);
    words.push(`${count(found.length, NOUN[target])} found`);
  }

  async function name() {
    const section = byId("classes");
    section.hidden = true;
    if (!model.classes?.[modality]?.length) return; // a model without classes: nothing to say
    try {
      const classes = await classify(file, modality, signal);
      showClasses(section, classes);
      section.hidden = false;
      words.push(`most likely ${classes[0].label}, ${percent(classes[0].probability)}`);
    } catch (error) {
      if (error.kind !== "no-class-head") throw error;
    }
  }
}

// -- what the visitor sees ------------------------------------------------------------------------------------------

function showGiven() {
  const { file, modality, item } = question;
  URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  const box = byId("given");
  const about = element("p", { class: "file" }, element("span", { class: "label" }, file.name), element("span", { class: "kind" }, item ? "from the catalogue" : size(file.size)));
  if (modality === "image") {
    const picture = element("img", { src: preview, alt: `Your picture: ${file.name}` });
    picture.addEventListener("error", () => picture.replaceWith(element("p", { class: "silent" }, "No preview: this browser can't show it.")));
    box.replaceChildren(picture, about);
  } else {
    box.replaceChildren(player(preview, file.name, waveform(file), item?.metadata), about);
  }
  box.className = `given ${modality}`;
  box.hidden = false;
  byId("main").dataset.state = "asked";
  document.querySelector(".drop .call").textContent = "Give another";
}

function refuse(title, detail) {
  renew();
  question = null;
  byId("given").hidden = true;
  clearResults();
  const samples = byId("samples");
  samples.hidden = !samples.querySelector("button");
  byId("main").dataset.state = "empty";
  showProblem(new Problem(title, detail));
  say(`${title}. ${detail}`);
}

function showProblem({ title, detail, message, kind }, again = null) {
  const box = byId("problem");
  const retry = again && element("button", { type: "button", class: "main", onclick: again }, "Try again");
  box.classList.toggle("note-only", kind === "note");
  box.replaceChildren(element("h2", {}, title ?? "Something went wrong on this page"), element("p", {}, detail ?? message), retry ?? "");
  box.hidden = false;
}

const hideProblem = () => (byId("problem").hidden = true);
const say = (text) => (byId("status").textContent = text);
const sectionOf = (modality) => byId(modality === "image" ? "pictures" : "sounds");

function clearResults() {
  for (const id of ["pictures", "sounds", "classes"]) byId(id).hidden = true;
  for (const list of document.querySelectorAll(".found ol")) list.replaceChildren();
}

/** Cancel what runs; the signal of what comes next. */
function renew() {
  running.abort();
  running = new AbortController();
  silence();
  return running.signal;
}

// -- beginning ------------------------------------------------------------------------------------------------------

byId("k").replaceChildren(
  ...STEPS.map((step) => {
    const radio = element("input", { type: "radio", name: "k", value: step, checked: step === k });
    radio.addEventListener("change", () => {
      k = step;
      if (question) answer(renew());
    });
    return element("label", {}, radio, element("span", {}, String(step)));
  }),
);
takeFiles(byId("file"), take);
meet();
