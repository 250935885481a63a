// Both orders side by side: the hits, what moved, why, and the thumbs.

import { drawing, element, find, foreign } from "./elements.js";
import { gradeOf } from "./judgements.js";

const THUMB = "M3 11h4v10H3zM7 12l4.5-9c1.8 0 2.7 1.3 2.3 3L13 9.5h6a2 2 0 0 1 2 2.4l-1.5 7A2.5 2.5 0 0 1 17 21H7";
const MOVES = { "↑": "up", "↓": "down", "=": "same", n: "new" };

/** Both lists. `onJudge(id, grade)` is called for a thumb; `grades` are those of the query that is shown. */
export class Orders {
  constructor(onJudge) {
    this.onJudge = onJudge;
    this.canJudge = false;
    this.opened = new Set();
    this.items = { opensearch: new Map(), twinrank: new Map() };
    this.moves = new Map();
    new ResizeObserver(() => this.#drawLines()).observe(find("orders"));
    for (const button of find("switch").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#showOnly(button.dataset.view));
    }
  }

  /** Show an answer of `lab/search`. */
  show(answer, { canJudge }) {
    this.canJudge = canJudge;
    const { opensearch, twinrank } = answer.orders;
    const start = answer.from;
    const places = new Map(twinrank.map((hit, place) => [hit.key, start + place + 1]));
    this.moves = new Map(twinrank.map((hit) => [hit.key, describeMove(hit)]));
    this.#list("opensearch", start, opensearch.map((hit, place) =>
      this.#makeHit("opensearch", answer.documents[hit.key], hit.key, start + place + 1, [
        element("span", {}, "score ", element("b", {}, formatScore(hit.score))),
        answer.applied && !places.has(hit.key) ? element("span", { class: "move gone" }, "left this page") : null,
      ])));
    this.#list("twinrank", start, twinrank.map((hit, place) =>
      this.#makeHit("twinrank", answer.documents[hit.key], hit.key, start + place + 1, [
        formatMove(this.moves.get(hit.key), answer.applied),
        hit.pinned ? element("span", {}, "pinned by a rule") : formatCrossing(hit.scores),
      ], hit.scores)));
    this.#drawLines();
  }

  /** Show the grades of the hits that are shown. */
  showGrades(grades) {
    for (const item of this.#allItems()) {
      const grade = gradeOf(grades, item.dataset.id);
      for (const button of item.querySelectorAll(".thumb")) {
        const isUp = button.dataset.grade === "1";
        button.setAttribute("aria-pressed", String(grade !== null && (isUp ? grade > 0 : grade <= 0)));
      }
    }
  }

  #allItems() {
    return [...this.items.opensearch.values(), ...this.items.twinrank.values()];
  }

  #list(side, start, items) {
    this.items[side] = new Map(items.map((item) => [item.dataset.key, item]));
    const list = find(side);
    list.start = start + 1;
    list.replaceChildren(...items);
  }

  #makeHit(side, doc, key, place, facts, scores = null) {
    const title = foreign(doc.title || "(no title)", { class: "title", dir: "auto" });
    return element("li", {
      class: "hit", "data-key": key, "data-id": doc.id,
      pointerenter: () => this.#light(key, true), pointerleave: () => this.#light(key, false),
      focusin: () => this.#light(key, true), focusout: () => this.#light(key, false),
    },
    element("span", { class: "place", "aria-hidden": "true" }, String(place)),
    element("div", { class: "about" },
      element("h3", {}, title),
      doc.text ? element("p", { class: "text" }, foreign(doc.text, { dir: "auto" })) : null,
      element("p", { class: "facts" }, ...facts, foreign(doc.id, { class: "id" })),
      this.#makeWhy(side, doc, key, scores)),
    this.canJudge ? this.#makeThumbs(doc) : null);
  }

  #makeThumbs(doc) {
    const make = (grade, word) => element("button", {
      type: "button", class: "thumb", "data-grade": String(grade), "aria-pressed": "false",
      "aria-label": `${word}: ${doc.title || doc.id}`, title: word,
      click: (event) => {
        const isPressed = event.currentTarget.getAttribute("aria-pressed") === "true";
        this.onJudge(doc.id, isPressed ? null : grade);
      },
    }, drawing("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, drawing("path", { d: THUMB })));
    return element("div", { class: "thumbs" }, make(1, "Relevant"), make(0, "Not relevant"));
  }

  #makeWhy(side, doc, key, scores) {
    if (!scores && doc.source === null) return null;
    const name = `${side} ${key}`;
    const summary = scores ? "Why" : "Document";
    const details = element("details", {
      class: "why", open: this.opened.has(name),
      toggle: (event) => {
        if (event.currentTarget.open) this.opened.add(name);
        else this.opened.delete(name);
      },
    },
    element("summary", { "aria-label": `${summary}: ${doc.title || doc.id}` }, summary),
    ...(scores ? formatScores(scores) : []),
    doc.source === null ? null : element("pre", { tabindex: "0", role: "group", "aria-label": "Source of the document" }, doc.source));
    return details;
  }

  #light(key, isOn) {
    for (const item of [this.items.opensearch.get(key), this.items.twinrank.get(key)]) {
      item?.classList.toggle("lit", isOn);
    }
    for (const line of find("lines").children) {
      if (line.dataset.key === key) line.classList.toggle("lit", isOn);
    }
  }

  #showOnly(view) {
    find("orders").dataset.view = view;
    for (const button of find("switch").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
  }

  #drawLines() {
    const box = find("lines").getBoundingClientRect();
    const middle = (item) => {
      const { top, height } = item.querySelector("h3").getBoundingClientRect();
      return Math.round(top + Math.min(height, 24) / 2 - box.top);
    };
    const lines = [];
    for (const [key, left] of box.width ? this.items.opensearch : []) {
      const right = this.items.twinrank.get(key);
      if (!right) continue;
      const [from, to, width] = [middle(left), middle(right), box.width];
      const half = width / 2;
      lines.push(drawing("path", {
        class: this.moves.get(key)?.kind ?? "same", "data-key": key,
        d: `M0 ${from}C${half} ${from} ${half} ${to} ${width} ${to}`,
      }));
    }
    find("lines").replaceChildren(...lines);
  }
}

/** Return how far a hit of the reranked page moved: {kind, by, from}; `from` is null if it is not known. */
export function describeMove({ move, scores }) {
  const kind = MOVES[move[0]] ?? "same";
  if (kind !== "new") return { kind, by: Number(move.slice(1)) || 0, from: null };
  const from = scores?.first_stage_rank ?? null;
  return { kind, by: from === null ? null : from - scores.rank, from };
}

function formatMove({ kind, by, from }, isApplied) {
  if (!isApplied) return null;
  const words = { up: `↑ ${by}`, down: `↓ ${by}`, same: "= same place", new: from === null ? "new" : `↑ ${by} from ${from}` };
  const spoken = { up: `up ${by}`, down: `down ${by}`, same: "same place", new: from === null ? "new on this page" : `new on this page, up ${by} from ${from}` };
  return element("span", { class: `move ${kind}` },
    element("span", { "aria-hidden": "true" }, words[kind]), element("span", { class: "spoken" }, spoken[kind]));
}

function formatCrossing(scores) {
  if (!scores) return null;
  if (scores.crossing === null) return element("span", { class: "warn" }, "no vector");
  return element("span", {}, "crossing ", element("b", {}, scores.crossing.toFixed(2)));
}

function formatScore(score) {
  return typeof score === "number" ? score.toLocaleString("en", { maximumFractionDigits: 2 }) : "–";
}

function formatScores(scores) {
  const why = element("p", {}, scores.why);
  if (!scores.parts.length) {
    return [why, element("p", { class: "help" }, `OpenSearch's score ${formatScore(scores.first_stage_score)}, rank ${scores.first_stage_rank}`)];
  }
  const most = Math.max(1e-9, ...scores.parts.map((part) => Math.abs(part.against_mean ?? 0)));
  const rows = scores.parts.map((part) => element("tr", {},
    element("th", { scope: "row" }, part.label, element("small", {}, ` ${describeValue(part.name, scores)}`)),
    element("td", {}, formatSigned(part.adds)),
    element("td", {}, formatBar(part.against_mean, most))));
  return [why, element("table", { class: "parts" },
    element("thead", {}, element("tr", {}, ...["Part", "Adds", "Against the average here"].map((word) => element("th", { scope: "col" }, word)))),
    element("tbody", {}, ...rows),
    element("tfoot", {}, element("tr", {}, element("th", { scope: "row" }, "Sum"), element("td", {}, formatSigned(scores.total)), element("td", {}))))];
}

function describeValue(name, scores) {
  if (name === "first_stage") return `${formatScore(scores.first_stage_score)}, ${scores.scaled_score === undefined ? "" : "scaled, "}as a logarithm`;
  if (name === "crossing") return scores.crossing === null ? "the window's median: no vector" : `crossing ${scores.crossing.toFixed(3)}`;
  if (name === "feedback") return `similarity ${scores.similarity.toFixed(3)}`;
  if (name === "signals") return scores.signals.map((signal) => signal.field).join(", ");
  if (name === "rules") return scores.rules.map((rule) => `${rule.kind} of rule ${rule.rule}`).join(", ");
  return "scores of the nearest vectors";
}

function formatBar(value, most) {
  const bar = element("span", { class: `bar ${value < 0 ? "less" : "more"}`, "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.setProperty("width", `${(50 * Math.abs(value ?? 0)) / most}%`);
  return [bar, element("span", {}, formatSigned(value))];
}

function formatSigned(value) {
  if (value === null) return "–";
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
