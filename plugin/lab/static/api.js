// Requests to the proxy, as the browser's user, whose password the browser itself asks for.

/** What could not be done, in words. `line` and `column` are a place in the search body, if there is one. */
export class LabError extends Error {
  constructor(message, { status = 0, line = null, column = null } = {}) {
    super(message);
    Object.assign(this, { status, line, column });
  }
}

/** Return the address of this page without user, query and fragment. */
export function pageAddress() {
  return location.origin + location.pathname;
}

/** Return an index's name in a path. Throws LabError for names that an address cannot hold. */
export function indexPath(index) {
  if (/^\.{1,2}$/.test(index)) throw new LabError(`expected the name of an index, found ${index}`);
  return encodeURIComponent(index);
}

/** Return the answer to a request below `lab/`; with `body` it is a POST. Throws LabError, or an AbortError. */
export async function ask(path, { body = null, signal = null } = {}) {
  const url = new URL(`lab/${path}`, pageAddress());
  const sent = body === null ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(url, { ...sent, signal, headers: { Accept: "application/json", ...sent.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new LabError(`Twinrank does not answer at ${location.origin}. Is it running?`);
  }
  const answer = await readJson(response);
  if (!response.ok) throw describeError(response.status, answer);
  if (answer === null) throw new LabError("The answer is not Twinrank's. Is something else at this address?");
  return answer;
}

async function readJson(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

function describeError(status, answer) {
  const error = answer?.error ?? {};
  const reason = typeof error === "string" ? error : error.reason ?? "no reason was given";
  const place = { status, line: error.line ?? null, column: error.col ?? null };
  if (status === 401) {
    return new LabError("OpenSearch asks for a user and a password. Search again to sign in.", place);
  }
  if (status === 403) return new LabError(`This user may not do that: ${reason}`, place);
  if (place.line !== null || error.type === "parsing_exception") return new LabError(reason, place);
  return new LabError(`${reason} (${status})`, place);
}
