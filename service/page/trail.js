// The browser's history: each question is an entry. That with an item has a link; that with a file lives as long as the page.

import { element } from "./dom.js";

const kept = new Map(); // questions with files, by the state of their entry

/** The link that asks with an item. */
const linkTo = (item) => `?${new URLSearchParams({ item: item.id })}`;

/** A question is asked: Back leads to the one before. */
export function enter(question) {
  const state = Math.random(); // entries of the page before it was loaded anew must not be taken for these
  if (!question.item) kept.set(state, question);
  history.pushState(state, "", question.item ? linkTo(question.item) : location.pathname);
}

/** The tab, and the entry in the browser's list of them, by the name of what was asked with; of nothing, by the page's. */
export function entitle(name) {
  document.title = name ? `${name} · BMA-Memory` : "BMA-Memory";
}

/** What the entry asks: `id` of an item, or a `question` with a file; neither at the start. */
export function here() {
  return { id: new URLSearchParams(location.search).get("item"), question: kept.get(history.state) };
}

/** A link that asks with an item: here, or in another tab by the browser's own ways. */
export function askLink(item, ask, attributes, ...children) {
  const go = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    ask(item);
  };
  return element("a", { href: linkTo(item), onclick: go, ...attributes }, ...children);
}
