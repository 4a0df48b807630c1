// What the catalogue's items are called: their labels, tags, and the fields of their metadata.

import { getItems, getLabels } from "./api.js";

const MOST_LABELS = 500; // the most frequent ones
const PAGE = 1000;
const PAGES = 5; // beyond these items, what only others have is not offered
const MOST_VALUES = 24; // of a field that is chosen from a list

const asked = new Map();

/** The labels, and whether these are all; asked once, and anew when the catalogue has changed. */
export const labels = () => once(readLabels);

/** Tags and fields `{ key, values?, numbers? }`, and whether these are all; likewise. */
export const facets = () => once(readFacets);

/** The catalogue has changed. */
export const forget = () => asked.clear();

function once(read) {
  if (!asked.has(read)) asked.set(read, read().catch((error) => (asked.delete(read), Promise.reject(error))));
  return asked.get(read);
}

async function readLabels() {
  const { labels: found, total } = await getLabels(MOST_LABELS);
  return { labels: sorted(found.map(({ label }) => label)), complete: found.length === total };
}

async function readFacets() {
  const tags = new Map();
  const fields = new Map();
  let cursor = "";
  for (let page = 0; page < PAGES; page++) {
    const answer = await getItems(PAGE, cursor);
    for (const item of answer.items) {
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
  return { tags: sorted(tags.keys()), fields: [...fields].map(fieldOf).filter(Boolean), complete: !cursor };
}

const tally = (counts, value) => counts.set(value, (counts.get(value) ?? 0) + 1);
const sorted = (values) => [...values].sort((one, other) => String(one).localeCompare(String(other), undefined, { numeric: true }));

/** Few values are chosen from; many numbers are bounded; many texts, such as paths, say nothing. */
function fieldOf([key, counts]) {
  const values = sorted(counts.keys());
  if (values.length < 2) return null; // the same everywhere
  if (values.length <= MOST_VALUES) return { key, values };
  return values.every((value) => typeof value === "number") ? { key, numbers: [Math.min(...values), Math.max(...values)] } : null;
}
