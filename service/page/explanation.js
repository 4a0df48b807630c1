// How the memory linked what was given to what was found: the slots, their weights, what lies nearest to them.

import { byId, element, nameOf, percent, shape } from "./dom.js";
import { smallGiven } from "./given.js";
import { chime } from "./player.js";
import { thumbnail } from "./thumbnail.js";

const ANSWERS = 4; // hits to choose from, and the best class
const NOTHING = 5e-5; // an effect that rounds to none
const VISIBLE = { score: 0.005, probability: 0.05 }; // an effect of less is drawn as a thin line
const NOUN = { image: "picture", sound: "sound" };
const WAY = { image: ["looks", "sounds"], sound: ["sounds", "looks"] }; // of what was given, of what was recalled

/**
 * Show an explanation.
 *
 * @param {string} modality of what was given
 * @param {object|undefined} told `explanation` of a search's result, if it has one
 * @param {object[]} hits of that search, each with `slots`
 * @param {object|null} best class with `slots`
 */
export function showExplanation(modality, told, hits, best) {
  const section = byId("why");
  const answers = [...hits.filter((hit) => hit.slots).slice(0, ANSWERS), ...(best?.slots ? [best] : [])];
  section.hidden = !told?.slots?.length || !answers.length;
  if (section.hidden) return;
  const rows = told.slots.map((slot) => slotRow(slot, modality, told.slots[0].weight));
  const given = element("div", { class: "end from" }, element("h3", {}, `Your ${NOUN[modality]}`), smallGiven());
  const picked = element("div", { class: "end to" });
  const into = element("div", { class: "links", "aria-hidden": "true" }, links(told.slots.map(({ weight }) => weight / told.slots[0].weight), "in"));
  const out = element("div", { class: "links", "aria-hidden": "true" });
  const chooser = element("div", { class: "answers", role: "radiogroup", "aria-label": "The answer to explain" });
  const choose = (answer) => {
    const effects = told.slots.map(({ slot }) => answer.slots.find((one) => one.slot === slot)?.effect ?? 0);
    const most = Math.max(...effects.map(Math.abs), answer.probability === undefined ? VISIBLE.score : VISIBLE.probability);
    out.replaceChildren(links(effects.map((effect) => effect / most), "out"));
    rows.forEach((row, number) => row.querySelector(".effect").replaceChildren(...effectOf(effects[number], answer)));
    byId("why-sum").textContent = sumUp(effects, answer);
  };
  chooser.append(...answers.map((answer, number) => answerOf(answer, number, () => choose(answer))));
  picked.append(element("h3", {}, "What it found"), chooser);
  section.querySelector(".story").replaceChildren(...story(modality, told));
  section.querySelector(".map").replaceChildren(given, into, element("ol", { class: "slots" }, ...rows), out, picked);
  choose(answers[0]);
}

/** Words for someone who has not read about the method. */
function story(modality, told) {
  const [here, there] = WAY[modality];
  const spread = Math.round(told.effective_slots);
  const first = `The model remembers ${told.of_slots} pairs of impressions, called slots: how something ${here}, and how what belongs to it ${there}. Your ${NOUN[modality]} is compared with the first half of every pair; the closer, the more weight the pair gets. The second halves, mixed by these weights, are what the model imagines beside what you gave, and with both it searches.`;
  const second = `These ${told.slots.length} have the most weight, ${percent(told.covered)} together; in all it spread over about ${spread} of ${told.of_slots}. Nobody named the slots: what they stand for shows in the sounds and pictures that lie nearest to them.`;
  return [element("p", {}, first), element("p", {}, second)];
}

function slotRow({ slot, weight, images, sounds }, modality, heaviest) {
  const fill = element("span", { class: "fill" });
  fill.style.setProperty("--share", weight / heaviest);
  const nearest = { sound: near("Sounds near it", sounds.map((item, number) => chime(item, `sound ${number + 1} near slot ${slot}: ${nameOf(item)}`, thumbnail(item)))), image: near("Pictures near it", images.map((item) => thumbnail(item, nameOf(item)))) };
  return element(
    "li",
    {},
    element("div", { class: "weight" }, element("h3", {}, `Slot ${slot}`), element("span", {}, `weight ${percent(weight)}`), element("span", { class: "bar", "aria-hidden": "true" }, fill)),
    ...(modality === "sound" ? [nearest.sound, nearest.image] : [nearest.image, nearest.sound]),
    element("p", { class: "names", dir: "auto" }, commonest([...images, ...sounds])),
    element("p", { class: "effect" }),
  );
}

const near = (title, items) => (items.length ? element("div", { class: "near", role: "group", "aria-label": title }, ...items) : null);

/** The labels near a slot, the commonest first. */
function commonest(items) {
  const counts = new Map();
  for (const { label } of items) if (label) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one).slice(0, 3).map(([label]) => label).join(", ");
}

function answerOf(answer, number, choose) {
  const isClass = answer.probability !== undefined;
  const name = isClass ? answer.label : nameOf(answer);
  const radio = element("input", { type: "radio", name: "answer", checked: number === 0, onchange: choose, "aria-label": isClass ? `the class ${name}` : `match ${number + 1}: ${name}` });
  const face = isClass ? element("span", { class: "class" }, percent(answer.probability)) : thumbnail(answer);
  return element("label", { class: isClass ? "named" : answer.modality }, radio, element("span", { class: "face" }, face), element("span", { class: "label", dir: "auto" }, name));
}

/** By how much an answer's score or probability is higher for a slot. */
function effectOf(effect, answer) {
  if (Math.abs(effect) < NOTHING) return [element("b", {}, "±0"), " made no difference"];
  const sign = effect > 0 ? "+" : "\u2212";
  return [element("b", { class: effect > 0 ? "up" : "down" }, sign + amount(effect, answer)), effect > 0 ? " for it" : " against it"];
}

const amount = (effect, answer) => (answer.probability === undefined ? Math.abs(effect).toFixed(4) : `${(100 * Math.abs(effect)).toFixed(1)} points`);

function sumUp(effects, answer) {
  const most = Math.max(...effects.map(Math.abs));
  const what = answer.probability === undefined ? `the similarity ${answer.score.toFixed(4)}` : `the ${percent(answer.probability)} for ${answer.label}`;
  const few = most < (answer.probability === undefined ? 0.01 : 0.02);
  const tail = few ? "No single slot decides: where one is missing, others like it take over, and half of what the model goes by is what it hears or sees directly." : "Each is taken out alone; others like it then take over, so these do not add up.";
  return `At each slot: how much of ${what} would be lost without it (+), or won (\u2212). ${tail}`;
}

/** Curves from one point to as many rows as there are weights, or back; the heavier, the wider. */
function links(weights, way) {
  const rows = weights.length;
  const drawing = shape("svg", { viewBox: `0 0 100 ${rows * 100}`, preserveAspectRatio: "none", class: way });
  weights.forEach((weight, row) => {
    const [y, middle] = [row * 100 + 50, rows * 50];
    const [from, to] = way === "in" ? [middle, y] : [y, middle];
    const width = Math.max(1.5, (weight < 0 ? 6 : 13) * Math.abs(weight));
    drawing.append(shape("path", { d: `M0 ${from}C55 ${from} 45 ${to} 100 ${to}`, "stroke-width": width, class: weight < 0 ? "against" : "for", "vector-effect": "non-scaling-stroke" }));
  });
  return drawing;
}
