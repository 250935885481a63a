// The state of the page in its address, behind the #, which no server sees and no log keeps.

import { pageAddress } from "./api.js";

const TEXTS = { index: "index", text: "text", body: "body", titleField: "title" };
const NUMBERS = ["weight", "feedback", "smoothing", "window"];

/** Return the state in an address: texts, and the sliders that differ from the index's settings. */
export function readAddress(place = location) {
  const fragment = new URLSearchParams(place.hash.slice(1));
  const isGiven = Object.values(TEXTS).some((key) => fragment.has(key));
  const given = isGiven ? fragment : new URLSearchParams(place.search);
  const state = { controls: {} };
  for (const [name, key] of Object.entries(TEXTS)) state[name] = given.get(key) ?? "";
  for (const name of NUMBERS) {
    const value = given.has(name) ? Number(given.get(name)) : NaN;
    if (Number.isFinite(value)) state.controls[name] = value;
  }
  if (!state.body && state.text.trimStart().startsWith("{")) {
    [state.body, state.text] = [state.text, ""]; // as the page's former addresses have it
  }
  return state;
}

/** Return the fragment for a state, with its #. */
export function formatAddress(state) {
  const parts = new URLSearchParams();
  for (const [name, key] of Object.entries(TEXTS)) if (state[name]) parts.set(key, state[name]);
  for (const name of NUMBERS) if (name in state.controls) parts.set(name, String(state.controls[name]));
  return `#${parts}`;
}

/** Return the whole link, without any user or password that this page was opened with. */
export function formatLink(state) {
  return pageAddress() + formatAddress(state);
}
