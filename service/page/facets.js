// What the catalogue's items are called: their labels, tags, and the fields of their metadata.

import { getItems } from "./api.js";

const PAGE = 1000;
const PAGES = 5; // beyond these items, what only others have is not offered
const MOST_VALUES = 24; // of a field that is chosen from a list

let asked = null;

/** Labels, tags and fields `{ key, values?, numbers? }`, asked once; a change of the catalogue asks anew. */
export const facets = () => (asked ??= collect().catch((error) => ((asked = null), Promise.reject(error))));

/** The catalogue has changed. */
export const forget = () => (asked = null);

async function collect() {
  const labels = new Map();
  const tags = new Map();
  const fields = new Map();
  let cursor = "";
  for (let page = 0; page < PAGES; page++) {
    const answer = await getItems(PAGE, cursor);
    for (const item of answer.items) {
      if (item.label) tally(labels, item.label);
      for (const tag of item.tags) tally(tags, tag);
      for (const [key, value] of Object.entries(item.metadata)) {
        if (!["string", "number", "boolean"].includes(typeof value)) continue;
        if (!fields.has(key)) fields.set(key, new Map());
        tally(fields.get(key), value);
      }
    }
    cursor = answer.cursor;
    if (!cursor) break;
  }
  return { labels: sorted(labels), tags: sorted(tags), fields: [...fields].map(fieldOf).filter(Boolean), complete: !cursor };
}

const tally = (counts, value) => counts.set(value, (counts.get(value) ?? 0) + 1);
const sorted = (counts) => [...counts.keys()].sort((one, other) => String(one).localeCompare(String(other), undefined, { numeric: true }));

/** Few values are chosen from; many numbers are bounded; many texts, such as paths, say nothing. */
function fieldOf([key, counts]) {
  const values = sorted(counts);
  if (values.length < 2) return null; // the same everywhere
  if (values.length <= MOST_VALUES) return { key, values };
  return values.every((value) => typeof value === "number") ? { key, numbers: [Math.min(...values), Math.max(...values)] } : null;
}
