// What came of a search, above both lists: how much moved, and nDCG@10 as far as it is judged.

import { element, find } from "./elements.js";
import { gradeOf, ndcg } from "./judgements.js";
import { describeMove } from "./orders.js";

/** Show it for an answer of `lab/search` and the grades of its query. */
export function showVerdict(answer, grades) {
  find("verdict").replaceChildren(describeMoves(answer), ...describeQuality(answer, grades));
}

function describeMoves(answer) {
  const moves = answer.orders.twinrank.map(describeMove);
  const count = (...kinds) => moves.filter((move) => kinds.includes(move.kind)).length;
  const isSame = count("up", "down", "new") === 0;
  const words = isSame ? "Both orders are the same." : [
    `${count("up", "down", "new")} of ${moves.length} hits moved`,
    count("new") ? `${count("new")} came from below this page` : "",
  ].filter(Boolean).join(", ");
  return element("p", { class: "moved" }, isSame ? words : `${words}.`);
}

function describeQuality(answer, grades) {
  if (!answer.query) {
    return [element("p", { class: "help" }, "To judge these hits, give the query a name: type it as text.")];
  }
  const sides = [["OpenSearch", "opensearch"], ["Twinrank", "twinrank"]].map(([name, side]) =>
    [name, answer.orders[side].map((hit) => answer.documents[hit.key].id)]);
  const shown = [...new Set(sides.flatMap(([, ids]) => ids.slice(0, 10)))];
  const judged = shown.filter((id) => gradeOf(grades, id) !== null).length;
  const counted = `${judged} of ${shown.length} hits judged`;
  if (answer.from > 0) return [element("p", { class: "help" }, `nDCG@10 is of the first page. ${counted}.`)];
  const values = sides.map(([name, ids]) => [name, ndcg(ids, grades)]);
  if (values[0][1] === null) {
    const what = judged ? "None of the judged hits is relevant yet." : "Judge hits with the thumbs to see nDCG@10 of both orders.";
    return [element("p", { class: "help" }, `${what} ${judged ? `${counted}.` : ""}`)];
  }
  const difference = values[1][1] - values[0][1];
  const gain = Math.abs(difference) < 0.0005 ? "no difference" : `${difference > 0 ? "+" : "−"}${Math.abs(difference).toFixed(3)}`;
  return [element("div", { class: "quality", role: "group", "aria-label": "nDCG@10 as judged so far" },
    element("span", { class: "measure" }, "nDCG@10"),
    ...values.map(([name, value]) => element("span", { class: "value" }, `${name} `, element("b", {}, value.toFixed(3)))),
    element("span", { class: `gain ${difference > 0 ? "up" : ""}` }, gain),
    element("span", { class: "help" }, `${counted}; the others count as not relevant`))];
}
