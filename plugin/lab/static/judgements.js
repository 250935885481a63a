// Judgements: kept in this browser by index and query, measured, saved as CSV and loaded again.

const PREFIX = "twinrank.judgements.";
const DEPTH = 10;

/** Return nDCG@10 with linear gains, as trec_eval has it; null if no judged document is relevant. */
export function ndcg(ids, grades) {
  const gain = (grade, place) => Math.max(grade, 0) / Math.log2(place + 2);
  const ideal = Object.values(grades).sort((a, b) => b - a).slice(0, DEPTH)
    .reduce((sum, grade, place) => sum + gain(grade, place), 0);
  if (ideal <= 0) return null;
  return ids.slice(0, DEPTH).reduce((sum, id, place) => sum + gain(gradeOf(grades, id) ?? 0, place), 0) / ideal;
}

/** Return a document's grade, null if it is not judged; an id may be any word, such as `constructor`. */
export function gradeOf(grades, id) {
  return Object.hasOwn(grades, id) ? grades[id] : null;
}

/** Return a query's id in files: the same in every browser, so that files can be put together. */
export function queryId(query) {
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  for (const byte of new TextEncoder().encode(query)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `q${hash.toString(16).padStart(8, "0")}`;
}

/** The judgements of one index: query to document id to grade. */
export class Judgements {
  constructor(index, storage = localStorage) {
    this.index = index;
    this.storage = storage;
    this.queries = this.#read();
  }

  /** Return the grades of a query by document id. */
  grades(query) {
    return Object.hasOwn(this.queries, query) ? this.queries[query] : {};
  }

  /** Set a grade, or with null take it back. Returns whether the browser keeps it. */
  judge(query, id, grade) {
    this.queries = this.#read();
    this.#set(query, id, grade);
    return this.#write();
  }

  get numQueries() {
    return Object.keys(this.queries).length;
  }

  get numJudgements() {
    return Object.values(this.queries).reduce((sum, grades) => sum + Object.keys(grades).length, 0);
  }

  /** Return the judgements as a file: `query_id,doc_id,judgment`. */
  toJudgmentsCsv() {
    const rows = Object.entries(this.queries).flatMap(([query, grades]) =>
      Object.entries(grades).map(([id, grade]) => [queryId(query), id, grade]));
    return formatCsv([["query_id", "doc_id", "judgment"], ...rows]);
  }

  /** Return the queries as a file: `query_id,query`. */
  toQueriesCsv() {
    return formatCsv([["query_id", "query"], ...Object.keys(this.queries).map((query) => [queryId(query), query])]);
  }

  /** Add what files hold: [{name, text}], of both kinds in any order. Returns how many judgements; throws Error. */
  load(files) {
    const tables = files.map(({ name, text }) => readTable(name, text));
    const names = new Map(Object.keys(this.queries).map((query) => [queryId(query), query]));
    for (const { rows } of tables.filter((table) => table.kind === "queries")) {
      for (const { cells: [id, query] } of rows) names.set(id, query);
    }
    const found = tables.filter((table) => table.kind === "judgments").flatMap(({ name, rows }) =>
      rows.map(({ line, cells: [queryKey, id, grade] }) => {
        if (!names.has(queryKey)) {
          throw new Error(`${name}, line ${line}: no query has the id ${queryKey}. Load the file of queries too.`);
        }
        if (!/^[+-]?\d+(\.\d+)?$/.test(grade.trim())) {
          throw new Error(`${name}, line ${line}: expected a number as judgment, found ${JSON.stringify(grade)}.`);
        }
        return [names.get(queryKey), id, Number(grade)];
      }));
    this.queries = this.#read();
    for (const one of found) this.#set(...one);
    return { loaded: found.length, isKept: this.#write() };
  }

  /** Remove all of them. */
  forget() {
    this.queries = Object.create(null);
    this.#write();
  }

  #set(query, id, grade) {
    const grades = { ...this.grades(query) };
    if (grade === null) delete grades[id];
    else Object.defineProperty(grades, id, { value: grade, enumerable: true, writable: true, configurable: true });
    if (Object.keys(grades).length) this.queries[query] = grades;
    else delete this.queries[query];
  }

  #read() {
    const queries = Object.create(null);
    try {
      const kept = JSON.parse(this.storage.getItem(PREFIX + this.index) ?? "{}");
      for (const [query, grades] of Object.entries(kept)) if (isGrades(grades)) queries[query] = grades;
    } catch {
      return this.queries ?? queries; // a browser that keeps nothing, or what no version of this page wrote
    }
    return queries;
  }

  #write() {
    try {
      if (this.numQueries) this.storage.setItem(PREFIX + this.index, JSON.stringify(this.queries));
      else this.storage.removeItem(PREFIX + this.index);
    } catch {
      return false;
    }
    return true;
  }
}

/** Whether a change in another tab concerns an index's judgements. */
export function concerns(event, index) {
  return event.key === null || event.key === PREFIX + index;
}

function isGrades(value) {
  return value !== null && typeof value === "object" && Object.values(value).every(Number.isFinite);
}

const HEADS = { judgments: ["query_id", "doc_id", "judgment"], queries: ["query_id", "query"] };

function readTable(name, text) {
  const [head, ...rows] = parseCsv(name, text);
  const columns = (head?.cells ?? []).map((cell) => cell.trim().toLowerCase());
  const kind = Object.keys(HEADS).find((each) => HEADS[each].every((column) => columns.includes(column)));
  if (!kind) {
    const expected = Object.values(HEADS).map((each) => each.join(",")).join(" or ");
    throw new Error(`${name}, line 1: expected the columns ${expected}.`);
  }
  const places = HEADS[kind].map((column) => columns.indexOf(column));
  const read = rows.filter(({ cells }) => cells.length > 1 || cells[0] !== "").map(({ line, cells }) => {
    if (cells.length !== columns.length) {
      throw new Error(`${name}, line ${line}: expected ${columns.length} columns, found ${cells.length}.`);
    }
    return { line, cells: places.map((place) => cells[place]) };
  });
  return { name, kind, rows: read };
}

/** Return the rows of a CSV file (RFC 4180), each with the line that it begins on. */
export function parseCsv(name, text) {
  const rows = [];
  let cells = [], cell = "", quoted = false, line = 1, began = 1;
  const endRow = () => {
    rows.push({ line: began, cells: [...cells, cell] });
    [cells, cell] = [[], ""];
  };
  const content = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  for (let place = 0; place < content.length; place += 1) {
    const letter = content[place];
    if (letter === "\n") line += 1;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (content[place + 1] === '"') [cell, place] = [cell + '"', place + 1];
      else quoted = false;
    } else if (letter === '"' && cell === "") quoted = true;
    else if (letter === ",") [cells, cell] = [[...cells, cell], ""];
    else if (letter === "\n") [, began] = [endRow(), line];
    else cell += letter;
  }
  if (quoted) throw new Error(`${name}, line ${began}: a quotation mark is not closed.`);
  if (cell !== "" || cells.length) endRow();
  return rows;
}

function formatCsv(rows) {
  const format = (cell) => (/[",\r\n]|^\s|\s$/.test(String(cell)) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell));
  return rows.map((row) => `${row.map(format).join(",")}\n`).join("");
}
