// The lab: a question, both orders, and what a person says about them. This module connects the others.

import { formatAddress, formatLink, readAddress } from "./address.js";
import { ask, indexPath } from "./api.js";
import { element, find, prose } from "./elements.js";
import { Judgements, concerns } from "./judgements.js";
import { Orders } from "./orders.js";
import { Sliders } from "./sliders.js";
import { showVerdict } from "./verdict.js";

const PAUSE_MS = 120; // after the last move of a slider
const MAX_CHIPS = 50;

let turn = 0; // the newest question: answers to older ones are dropped
let running = null;
let timer = null;
let known = { index: null, facts: null }; // the index whose settings are shown
let answer = null;
let isSignInRefused = false; // then another request would only ask for the password again
let judgements = new Judgements("");

const sliders = new Sliders(() => {
  clearTimeout(timer);
  setBusy(true);
  timer = setTimeout(() => search({ isNew: false }), PAUSE_MS);
});
const orders = new Orders((id, grade) => {
  const isKept = judgements.judge(answer.query, id, grade);
  showJudgements(isKept ? "" : "This browser keeps no data: save the files before you leave.");
});

function readForm() {
  return {
    index: find("index").value.trim(),
    text: find("text").value,
    body: find("body").value,
    titleField: find("title-field").value,
    controls: { ...sliders.chosen },
  };
}

function fillForm(state) {
  find("index").value = state.index;
  find("text").value = state.text;
  find("body").value = state.body;
  find("editor").open = Boolean(state.body);
  setTitleFields(known.facts?.title_fields ?? [], state.titleField);
}

/** Show a state. */
async function open(state) {
  fillForm(state);
  known = { index: null, facts: null };
  if (!state.index) {
    find("coverage").replaceChildren();
    sliders.show(null);
    clearResults();
    showJudgements();
  } else if (await showIndex(state)) {
    if (state.text || state.body) await search({ isNew: false });
    else clearResults();
  }
}

/** Show an index's coverage and settings. Returns whether it is there. A title field is kept if it is there. */
async function showIndex({ index, controls = {}, titleField = null }) {
  if (!index) return false;
  const mine = ++turn;
  running?.abort();
  running = new AbortController();
  setBusy(true);
  try {
    const facts = await ask(`indices/${indexPath(index)}`, { signal: running.signal });
    if (mine !== turn) return false;
    known = { index, facts };
    judgements = new Judgements(index);
    const kept = find("title-field").value;
    setTitleFields(facts.title_fields, titleField ?? (facts.title_fields.includes(kept) ? kept : ""));
    sliders.show(facts.settings, controls);
    showCoverage(facts);
    showKeep();
    showJudgements();
    clearMessage();
    return true;
  } catch (error) {
    if (mine === turn) {
      known = { index: null, facts: null };
      find("coverage").replaceChildren();
      sliders.show(null);
      clearResults();
      showError(error);
    }
    return false;
  } finally {
    if (mine === turn) setBusy(false);
  }
}

async function search({ isNew }) {
  clearTimeout(timer);
  const state = readForm();
  if (!state.index || !(state.text.trim() || state.body.trim())) {
    const missing = find(state.index ? "text" : "index");
    showMessage("note", state.index ? "Type what to look for." : "Name an index.");
    missing.focus();
    return;
  }
  if (state.index !== known.index && !(await showIndex({ index: state.index }))) return;
  const mine = ++turn;
  running?.abort();
  running = new AbortController();
  setBusy(true);
  remember(isNew);
  try {
    const found = await ask(`search/${indexPath(state.index)}`, {
      body: { text: state.text, body: state.body, title_field: state.titleField, rerank: sliders.rerank },
      signal: running.signal,
    });
    if (mine === turn) showAnswer(found);
  } catch (error) {
    if (mine === turn && error.name !== "AbortError") {
      clearResults();
      showError(error);
    }
  } finally {
    if (mine === turn) setBusy(false);
  }
}

function showAnswer(found) {
  answer = found;
  const num = Math.max(...Object.values(found.orders).map((hits) => hits.length));
  sliders.follow(found.used);
  showKeep();
  showBodyProblem(null);
  find("message").replaceChildren(...describeSkip(found), ...found.notes.map((note) => element("p", { class: "message note" }, note)),
    ...(num ? [] : [element("p", { class: "message note" }, describeNoHits())]));
  find("status").textContent = describeStatus(found);
  find("results").hidden = num === 0;
  orders.show(found, { canJudge: Boolean(found.query) });
  showJudgements();
}

function describeSkip({ skipped }) {
  if (!skipped) return [];
  return [element("div", { class: "message skipped" },
    element("p", {}, element("b", {}, skipped.order), " ", ...prose(skipped.why)),
    element("p", {}, ...prose(skipped.remedy)))];
}

function describeNoHits() {
  const { facts, index } = known;
  if (facts?.documents === 0) return `No hits: ${index} is empty. Write documents through the proxy, or with twinrank index.`;
  return "No hits: OpenSearch finds nothing for this search.";
}

function describeStatus({ applied, used, elapsed_ms: times, total }) {
  const hits = typeof total === "number" ? total : total?.value;
  const found = hits === undefined ? [] : [`${total.relation === "gte" ? "over " : ""}${hits.toLocaleString("en")} found`];
  const done = applied && used ? [`${used.scored} of the best ${used.window_size} reranked by their vectors`] : [];
  const took = [`${Math.round(times.opensearch)} ms OpenSearch alone, ${Math.round(times.twinrank)} ms with Twinrank`];
  return [...found, ...done, ...took].join(" · ");
}

function showCoverage({ documents, with_vector: vectors, settings, skipped }) {
  const count = (number) => number.toLocaleString("en");
  const parts = [];
  if (vectors !== null && documents > 0) {
    const percent = Math.floor((1000 * vectors) / documents) / 10; // rounded down, so that 100 % means all
    const meter = element("meter", { min: 0, max: documents, value: vectors, "aria-label": "Documents with a vector" });
    parts.push(meter, ` ${percent} % of ${count(documents)} documents have a vector`);
    if (vectors < documents) parts.push(" · ", ...prose(`next: \`twinrank sync ${known.index}\``));
  } else if (documents === 0) parts.push("This index is empty.");
  else parts.push(`${count(documents)} ${documents === 1 ? "document" : "documents"}`);
  if (settings) parts.push(` · ${settings.model}, ${settings.method.replace("_", "-")}`);
  const problem = skipped ? [element("span", { class: "warn" }, " · ", ...prose(skipped.why))] : [];
  find("coverage").replaceChildren(...parts, ...problem);
}

function showKeep() {
  const command = sliders.formatCommand(known.index);
  find("keep").hidden = command === "";
  find("keep").replaceChildren(...prose(`To keep these values: \`${command}\``));
}

function showJudgements(note = "") {
  const { numQueries, numJudgements, index } = judgements;
  const grades = answer ? judgements.grades(answer.query) : {};
  if (answer) {
    orders.showGrades(grades);
    showVerdict(answer, grades);
  }
  find("judged").hidden = index === "" || known.index === null;
  const plural = (number, word, words) => `${number} ${number === 1 ? word : words}`;
  find("judged-count").textContent = numJudgements === 0
    ? "None yet. The thumbs beside the hits say which are relevant; they stay in this browser."
    : `${plural(numJudgements, "judgement", "judgements")} of ${plural(numQueries, "query", "queries")}, kept in this browser.`;
  for (const id of ["save-judgments", "save-queries", "forget"]) find(id).disabled = numJudgements === 0;
  find("judged-note").textContent = note;
  find("judged-command").replaceChildren(...(numJudgements === 0 ? [] : prose(
    `Measure with all of them: \`twinrank evaluate ${index} --queries ${fileName("queries")} --judgments ${fileName("judgments")}\``)));
  const queries = Object.entries(judgements.queries).slice(0, MAX_CHIPS);
  find("judged-queries").replaceChildren(...queries.map(([query, each]) => element("li", {}, element("button", {
    type: "button", click: () => openQuery(query),
  }, element("bdi", {}, query), element("small", {}, ` ${Object.keys(each).length}`)))));
}

function openQuery(query) {
  find("text").value = query;
  if (find("body").value && !/%(query|Search)Text%/.test(find("body").value)) find("body").value = "";
  search({ isNew: true });
  find("text").focus();
}

function showError(error) {
  if (error.name === "AbortError") return;
  isSignInRefused = error.status === 401;
  const isOfBody = error.line !== null && error.line !== undefined && find("body").value.trim() !== "";
  showBodyProblem(isOfBody ? error : null);
  if (isOfBody) find("message").replaceChildren();
  else showMessage("error", error.message);
}

function showBodyProblem(error) {
  const body = find("body");
  find("body-error").hidden = error === null;
  find("body-error").textContent = error?.message ?? "";
  if (error === null) {
    body.removeAttribute("aria-invalid");
    return;
  }
  body.setAttribute("aria-invalid", "true");
  find("editor").open = true;
  const before = body.value.split("\n").slice(0, error.line - 1).join("\n").length + (error.line > 1 ? 1 : 0);
  const place = Math.min(before + error.column - 1, body.value.length);
  body.focus();
  body.setSelectionRange(place, Math.min(place + 1, body.value.length));
}

function showMessage(kind, text) {
  find("message").replaceChildren(element("p", { class: `message ${kind}` }, text));
}

function clearMessage() {
  find("message").replaceChildren();
  showBodyProblem(null);
}

function clearResults() {
  answer = null;
  find("results").hidden = true;
  find("status").textContent = "";
}

function setBusy(isBusy) {
  document.body.classList.toggle("busy", isBusy);
  find("results").setAttribute("aria-busy", String(isBusy));
}

function setTitleFields(fields, chosen) {
  const all = chosen && !fields.includes(chosen) ? [chosen, ...fields] : fields;
  find("title-field").replaceChildren(element("option", { value: "" }, "automatic"),
    ...all.map((name) => element("option", { value: name }, name)));
  find("title-field").value = chosen;
}

/** Put the state into the address: a new search is a step back in the browser's history, a slider is not. */
function remember(isNew) {
  const address = formatAddress(readForm());
  if (address === location.hash) return;
  if (isNew) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

async function share() {
  const link = formatLink(readForm());
  find("shared").hidden = false;
  find("link").value = link;
  try {
    await navigator.clipboard.writeText(link);
    find("share").textContent = "Copied";
    setTimeout(() => { find("share").textContent = "Copy link"; }, 2000);
  } catch { // no clipboard without https, or none allowed
    find("link").focus();
    find("link").select();
  }
}

function fileName(kind) {
  return `${judgements.index.replace(/[^\w.-]+/g, "_")}-${kind}.csv`;
}

function save(kind, content) {
  const url = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  element("a", { href: url, download: fileName(kind) }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function load(files) {
  try {
    const texts = await Promise.all([...files].map(async (file) => ({ name: file.name, text: await file.text() })));
    const { loaded, isKept } = judgements.load(texts);
    showJudgements(`${loaded} judgements loaded.${isKept ? "" : " This browser keeps no data: save them before you leave."}`);
  } catch (error) {
    showJudgements(error.message);
  }
  find("files").value = "";
}

/** Offer the indices with settings; if there is only one and none was named, choose it. */
async function offerIndices() {
  const { indices } = await ask("indices");
  find("indices").replaceChildren(...indices.map(({ name, enabled }) =>
    element("option", { value: name }, enabled ? name : `${name} (reranking is off)`)));
  if (indices.length === 0) {
    showMessage("note", "No index that you may see is enabled for reranking. Enable one: twinrank enable INDEX --field FIELD.");
  }
  const enabled = indices.filter((index) => index.enabled);
  if (find("index").value === "" && enabled.length === 1) {
    find("index").value = enabled[0].name;
    if (document.activeElement === find("index")) find("text").focus();
    await showIndex({ index: enabled[0].name });
  }
}

function listen() {
  find("question").addEventListener("submit", (event) => {
    event.preventDefault();
    search({ isNew: true });
  });
  find("index").addEventListener("change", () => showIndex({ index: find("index").value.trim() }));
  find("title-field").addEventListener("change", () => answer && search({ isNew: false }));
  find("body").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) search({ isNew: true });
  });
  find("share").addEventListener("click", share);
  find("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is the state
    find(find("results").hidden ? "text" : "results").focus();
  });
  find("save-judgments").addEventListener("click", () => save("judgments", judgements.toJudgmentsCsv()));
  find("save-queries").addEventListener("click", () => save("queries", judgements.toQueriesCsv()));
  find("load").addEventListener("click", () => find("files").click());
  find("files").addEventListener("change", (event) => load(event.currentTarget.files));
  find("forget").addEventListener("click", () => {
    if (!confirm(`Forget all ${judgements.numJudgements} judgements of ${judgements.index}?`)) return;
    judgements.forget();
    showJudgements("Forgotten.");
  });
  addEventListener("popstate", () => open(readAddress()));
  addEventListener("storage", (event) => {
    if (!concerns(event, judgements.index)) return;
    judgements = new Judgements(judgements.index);
    showJudgements();
  });
}

async function start() {
  listen();
  find("ranking").open = !matchMedia("(max-width: 46rem)").matches; // on a phone the hits come first
  const state = readAddress();
  fillForm(state);
  if (!state.index) find("index").focus();
  else if (!state.text && !state.body) find("text").focus();
  try {
    await open(state);
    if (!isSignInRefused) await offerIndices();
  } catch (error) {
    showError(error);
  }
  if (running === null || known.index === null) setBusy(false);
}

start();
