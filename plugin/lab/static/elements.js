// Elements from code. Texts become text nodes, so nothing of a document is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. `attributes` with a function listen to that event; null and false leave one out. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an element of SVG. */
export function drawing(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return the element with this id. */
export function find(id) {
  return document.getElementById(id);
}

/** Return a text whose commands, in backticks, are code. */
export function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));
}

/** Return a text of somebody else's, whose direction of writing ends with it. */
export function foreign(text, attributes = {}) {
  return element("bdi", attributes, text);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}
