// The service's API, as far as the page uses it.

import { askForKey, authorization, key } from "./key.js";

const TRIES = 4; // before a busy service's answer is shown
const LONGEST = 30; // seconds to wait at most for the next
const PASSING = [429, 502, 503, 504];
const NO_ANSWER = ["The service does not answer", "Check that it is running and that you are connected, then try again.", "unreachable"];
const FOREIGN = ["Something else answers in the service's place", "This may be the sign-in page of a network that you are in, or a proxy. Sign in there if so, then try again.", "foreign"];
export const NO_KEY = "This service asks for an API key; whoever runs it can give you one."; // its own words are for programs

/** What went wrong, in words for the visitor; `message` says it where there is no place for a title. */
export class Problem extends Error {
  constructor(title, detail, kind = "", message = `${title}. ${detail}`) {
    super(message);
    Object.assign(this, { title, detail, kind });
  }

  /** Whether another try may go well. */
  get passing() {
    return ["unreachable", "foreign", "internal", "busy", "no-key", "wrong-key"].includes(this.kind);
  }

  /** Whether the file is what nothing can be done with. */
  get ofFile() {
    return this.kind.includes("media");
  }
}

let tell = () => {};

/** Call `listener(seconds)` when the service is busy and is asked again after these; with 0 when it has answered. */
export const whenBusy = (listener) => (tell = listener);

/** Links in answers start at the root; relative ones also work where the service is behind a path. */
export const local = (link) => link.replace(/^\/+/, "");

async function ask(path, options = {}, tries = 0) {
  const used = key();
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(...NO_ANSWER);
  }
  if (answer.ok) {
    if (tries) tell(0);
    return answer;
  }
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401) {
    if (!used || !problem.detail) problem.detail = NO_KEY;
    if (used !== key() || (await askForKey(problem.detail, Boolean(used)))) return ask(path, options, tries);
  }
  const busy = answer.status === 429 || answer.status === 503;
  if (busy && tries < TRIES) {
    await pause(waitOf(answer, tries), options.signal);
    return ask(path, options, tries + 1);
  }
  if (busy) tell(0);
  throw new Problem(
    problem.title ?? (busy ? "The service is busy" : "The service could not answer"),
    problem.detail ?? `It said ${answer.status} ${answer.statusText}.`.replace(" .", "."),
    PASSING.includes(answer.status) ? "busy" : kindOf(problem),
    problem.detail,
  );
}

const kindOf = ({ type }) => String(type ?? "").split(":").pop();

/** What an answer carries: `json`, `blob` or `arrayBuffer`. */
async function bodyOf(answer, form) {
  try {
    return await answer[form]();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(...(error instanceof SyntaxError ? FOREIGN : NO_ANSWER));
  }
}

const askJson = async (path, options) => bodyOf(await ask(path, options), "json");

/** Seconds that a busy service wants to be left alone; without its word, longer each time. */
function waitOf(answer, tries) {
  const said = Number(answer.headers.get("retry-after"));
  return Math.min(LONGEST, said > 0 ? said : 2 ** tries);
}

function pause(seconds, signal) {
  tell(seconds);
  return new Promise((done, stop) => {
    const cancel = () => (clearTimeout(timer), tell(0), stop(signal.reason));
    const end = () => (signal?.removeEventListener("abort", cancel), done());
    const timer = setTimeout(end, 1000 * seconds * (1 + Math.random() / 4)); // so that not all visitors return at once
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}

async function send(path, file, modality, signal, fields = {}) {
  const form = new FormData();
  form.append(modality, file, file.name);
  for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) form.append(name, value);
  const { results } = await askJson(path, { method: "POST", body: form, signal });
  const [result] = results;
  if (result.error) throw new Problem(result.error.title, result.error.detail, kindOf(result.error), result.error.detail);
  return result;
}

/** The model, the catalogue's counts, whether this visitor may change it, the limits. */
export const getModel = () => askJson("v1/model");

/** The name of the visitor's key, and its scopes: what it may do. */
export const getKey = async () => (await ask("v1/key")).json();

/** A page of the catalogue: items, and a cursor to the next where there is one. */
export const getItems = (limit, cursor = "") => askJson(`v1/items?${new URLSearchParams({ limit, ...(cursor && { cursor }) })}`);

/** What the catalogue knows of an item. */
export const getItem = (id, signal) => askJson(`v1/items/${encodeURIComponent(id)}`, { signal });

/** The catalogue's labels with their counts, those of most items first, and in `total` how many labels there are. */
export const getLabels = (limit) => askJson(`v1/labels?${new URLSearchParams({ limit })}`);

/**
 * Hits of one modality ("image" or "sound") for a file.
 *
 * @param {{k: number, filter?: string, windows?: boolean, explain?: boolean}} options as in the API
 */
export function search(file, modality, target, options, signal) {
  const asked = Object.entries(options).filter(([, value]) => value);
  return send(`v1/search/${target}s?${new URLSearchParams(asked)}`, file, modality, signal);
}

/** Classes with probabilities, best first, of a sound also each window's: the model's own, or of `labels` of the catalogue. */
export function classify(file, modality, { labels = [], explain = false }, signal) {
  const asked = new URLSearchParams(labels.map((label) => ["labels", label]));
  if (explain) asked.set("explain", "true");
  if (modality === "sound") asked.set("windows", "true");
  return send(`v1/classify?${asked}`, file, modality, signal);
}

/** Put a file into the catalogue; the item, and whether it is new. Its name is what an item without a label is called. */
export function addItem(file, modality, { label, tags }) {
  return send("v1/items", file, modality, undefined, { label, tags, metadata: JSON.stringify({ path: file.name }) });
}

/** Take an item out of the catalogue. */
export const deleteItem = (id) => ask(`v1/items/${encodeURIComponent(id)}`, { method: "DELETE" });

/** An item's content as a file. */
export async function getFile(item, name, signal) {
  const blob = await bodyOf(await ask(local(item.content), { signal }), "blob");
  return new File([blob], name, { type: item.media_type ?? blob.type });
}

/** The bytes behind a link, or null where there are more than `most`. */
export async function getBytes(link, most, signal) {
  const answer = await ask(local(link), { signal });
  if (Number(answer.headers.get("content-length")) > most) {
    await answer.body.cancel();
    return null;
  }
  return bodyOf(answer, "arrayBuffer");
}

/** Why a link can't be loaded, in the service's words; an empty text where it can. */
export async function whyNot(link) {
  if (link.startsWith("blob:")) return "";
  try {
    await (await ask(local(link))).body.cancel();
    return "";
  } catch (problem) {
    return problem.message;
  }
}

const lent = new Map(); // object URLs, and what uses them
const departures = new MutationObserver(() => {
  for (const [url, holder] of lent) if (!holder.isConnected) URL.revokeObjectURL(url), lent.delete(url);
});

/**
 * What a picture or player can load: the link itself, or, where a key is needed, its bytes. These are let go when
 * `holder`, the picture or player, leaves the page.
 */
export async function loadable(link, holder) {
  if (!key() || link.startsWith("blob:")) return local(link);
  const url = URL.createObjectURL(await (await ask(local(link))).blob());
  lent.set(url, holder);
  departures.observe(document.body, { childList: true, subtree: true });
  return url;
}
