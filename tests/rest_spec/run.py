"""One test, run at one address: what it found, and every answer on the way."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.rest_spec.assertions import holds
from tests.rest_spec.call import Answer, Caller, ParameterError
from tests.rest_spec.load import SpecTest, Step
from tests.rest_spec.stash import Stash, at_path, resolved, transformed

SERVER = (3, 8, 0)

FEATURES = {"allowed_warnings", "allowed_warnings_regex", "arbitrary_key", "close_to", "contains",
            "default_shards", "headers", "node_selector", "regex", "stash_in_path", "stash_path_replace",
            "transform_and_set", "warnings", "warnings_regex"}  # fmt: skip

CAUGHT = {
    "bad_request": {400},
    "unauthorized": {401},
    "forbidden": {403},
    "missing": {404},
    "request_timeout": {408},
    "conflict": {409},
    "unavailable": {503},
    "request": set(range(400, 600)) - {400, 401, 403, 404, 408, 409},
}
"""What a test expects -> the statuses that say so."""


@dataclass
class Outcome:
    """`passed`, `skipped: why`, or `failed: where`; the answers in their order."""

    result: str = "passed"
    answers: list[Answer] = field(default_factory=list)
    failed_after: int = -1
    """The place in `answers` of the answer that an assertion did not like."""


class _Skipped(Exception):  # noqa: N818  # not an error
    pass


class _Failed(Exception):  # noqa: N818  # a finding
    pass


def run(test: SpecTest, caller: Caller) -> Outcome:
    """Run setup, steps and teardown."""
    outcome, stash = Outcome(), Stash()
    caller.begin()
    try:
        _play((*test.setup, *test.steps), caller, outcome, stash)
    except _Skipped as reason:
        outcome.result = f"skipped: {reason}"
    except _Failed as finding:
        outcome.result = f"failed: {finding}"
        outcome.failed_after = len(outcome.answers) - 1
    try:
        _play(test.teardown, caller, Outcome(), stash)
    except (_Skipped, _Failed) as finding:
        if outcome.result == "passed":
            outcome.result = f"failed: teardown: {finding}"
    return outcome


def _play(steps: Iterable[Step], caller: Caller, outcome: Outcome, stash: Stash) -> None:
    for number, step in enumerate(steps):
        ((kind, said),) = step.items()
        kind = kind.strip()
        if kind == "skip":
            _check_skip(said)
        elif kind == "do":
            answer = _do(said, caller, stash)
            outcome.answers.append(answer)
            stash["body"] = answer.body
        elif kind in ("set", "transform_and_set"):
            _keep(kind, said, stash)
        elif not holds(kind, said, stash.get("body"), stash):
            raise _Failed(f"step {number}: {kind} {said}")


def _keep(kind: str, said: Mapping[str, str], stash: Stash) -> None:
    for left, right in said.items():
        if kind == "set":
            stash[right] = at_path(stash.get("body"), left, stash)
        else:
            stash[left] = transformed(right, stash.get("body"), stash)


def _check_skip(said: Mapping[str, Any]) -> None:
    features = said.get("features", [])
    asked = features if isinstance(features, list) else re.split(r"[,\s]+", str(features))
    if unknown := set(asked) - FEATURES:
        raise _Skipped(f"needs {sorted(unknown)}")
    if "version" in said and _is_within(str(said["version"])):
        raise _Skipped(f"version {said['version']}")


def _is_within(versions: str) -> bool:
    """Return whether the server's version lies in one of the ranges `from - to`."""
    for one in versions.split(","):
        low, _, high = (part.strip() for part in one.strip().partition("-"))
        if one.strip() == "all" or (_version(low, (0,)) <= SERVER <= _version(high, (99,))):
            return True
    return False


def _version(text: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a version to compare by; 6.x and 7.x are those of the ancestor, before 1.0."""
    parts = tuple(int(part) for part in text.split(".")) if text else default
    return (0, *parts) if parts[0] in (6, 7) else parts


def _do(said: Mapping[str, Any], caller: Caller, stash: Stash) -> Answer:
    rest = dict(said)
    options = {key: rest.pop(key, None) for key in ("catch", "headers", "warnings", "allowed_warnings",
               "warnings_regex", "allowed_warnings_regex", "node_selector")}  # fmt: skip
    selected = str((options["node_selector"] or {}).get("version", "")).strip()
    if selected and not _is_within(selected):
        raise _Skipped(f"for nodes of version {selected}")
    # one published test names two APIs in one step; OpenSearch's own runner keeps the last of them too
    *_, (api, arguments) = rest.items()
    arguments = resolved(arguments or {}, stash)
    ignored = arguments.pop("ignore", ())
    expected = options["catch"]
    try:
        headers = {name: str(value) for name, value in resolved(options["headers"] or {}, stash).items()}
        answer = caller.call(api, arguments, headers)
    except ParameterError as error:
        if expected == "param":
            return Answer(api, 0, "", "")
        raise _Failed(f"{api}: {error}") from error
    _check_status(answer, expected, ignored if isinstance(ignored, list) else [ignored])
    _check_warnings(answer, options)
    return answer


def _check_status(answer: Answer, expected: str | None, ignored: Iterable[object]) -> None:
    failed = answer.status >= 400 and answer.body is not False
    if expected is None:
        if failed and str(answer.status) not in {str(each) for each in ignored}:
            raise _Failed(f"{answer.api} gave {answer.status}: {answer.text[:300]}")
        return
    expected = expected.strip()
    if expected.startswith("/"):
        pattern = expected.strip("/").replace("\\/", "/")
        fits = failed and bool(re.search(pattern, answer.text.replace('\\"', '"'), re.DOTALL))
    else:
        fits = answer.status in CAUGHT.get(expected, set())
    if not fits:
        raise _Failed(f"{answer.api} gave {answer.status}, not {expected}: {answer.text[:300]}")


def _check_warnings(answer: Answer, options: Mapping[str, Any]) -> None:
    found = set(answer.warnings)
    expected, allowed = set(options["warnings"] or ()), set(options["allowed_warnings"] or ())
    patterns = [*(options["warnings_regex"] or ()), *(options["allowed_warnings_regex"] or ())]
    unexpected = {
        each
        for each in found - expected - allowed
        if not any(re.search(pattern, each) for pattern in patterns)
    }
    if unexpected or not expected <= found:
        raise _Failed(f"{answer.api} warned: {sorted(unexpected)}, did not warn: {sorted(expected - found)}")
