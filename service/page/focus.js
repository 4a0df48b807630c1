// The keyboard's focus, where what had it goes.

import { byId } from "./dom.js";

const CONTROLS = "button, input, a";

/**
 * Fill a list anew. What had the focus in it has it again: the same control of the same item, else of the one in its
 * place, and `title` where none is left.
 */
export function keepFocus(list, title, fill) {
  const focused = document.activeElement;
  const item = [...list.children].find((one) => one.contains(focused));
  if (!item) {
    fill();
    return;
  }
  const place = [...list.children].indexOf(item);
  const control = [...item.querySelectorAll(CONTROLS)].indexOf(focused);
  fill();
  const heir = [...list.children].find((one) => one.dataset.id === item.dataset.id) ?? list.children[Math.min(place, list.children.length - 1)];
  const controls = heir?.querySelectorAll(CONTROLS) ?? [];
  title.tabIndex = -1;
  (controls[Math.min(control, controls.length - 1)] ?? title).focus({ preventScroll: true });
}

/** Do what may take away or hide what has the focus; then the answer's place has it. */
export function orAnswer(act) {
  const focused = document.activeElement;
  act();
  if (focused !== document.body && !focused.getClientRects().length) byId("answer").focus({ preventScroll: true });
}
