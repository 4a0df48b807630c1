// The service's API, as far as the page uses it.

/** What went wrong, in words for the visitor. */
export class Problem extends Error {
  constructor(title, detail, kind = "") {
    super(detail);
    Object.assign(this, { title, detail, kind });
  }
}

/** Links in answers start at the root; relative ones also work where the service is behind a path. */
export const local = (link) => link.replace(/^\/+/, "");

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service does not answer", "Check that it is running and that you are connected, then try again.", "unreachable");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(
    problem.title ?? "The service could not answer",
    problem.detail ?? `It said ${answer.status} ${answer.statusText}.`.replace(" .", "."),
    String(problem.type ?? "").split(":").pop(),
  );
}

async function send(path, file, modality, signal) {
  const form = new FormData();
  form.append(modality, file, file.name);
  const { results } = await (await ask(path, { method: "POST", body: form, signal })).json();
  const [result] = results;
  if (result.error) throw new Problem(result.error.title, result.error.detail);
  return result;
}

/** The model, the catalogue's counts, the limits. */
export const getModel = async () => (await ask("v1/model")).json();

/** The first items of the catalogue. */
export async function getItems(limit) {
  const { items } = await (await ask(`v1/items?limit=${limit}`)).json();
  return items;
}

/** Hits of one modality ("image" or "sound") for a file. */
export const search = async (file, modality, target, k, signal) =>
  (await send(`v1/search/${target}s?k=${k}`, file, modality, signal)).hits;

/** Classes with probabilities, best first. */
export const classify = async (file, modality, signal) => (await send("v1/classify", file, modality, signal)).classes;

/** An item's content as a file. */
export async function getFile(item, name, signal) {
  const blob = await (await ask(local(item.content), { signal })).blob();
  return new File([blob], name, { type: item.media_type ?? blob.type });
}
