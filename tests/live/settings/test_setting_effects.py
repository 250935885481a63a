"""Every documented setting, request control and server option is tried by its effect, from the tables.

A new one without an effect test fails here. Every bad value gives the error that is promised: what and where,
what was expected, what was found, and the nearest name.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opensearchpy import OpenSearch

from opensearch.rawjson.validation import InvalidError
from opensearch.search.ext import RerankControls, take_controls
from opensearch.settings.layers import ONLY_IN_MAPPING, check_server_defaults
from opensearch.settings.table import RerankSettings, SettingsError
from opensearch.settings.validation import parse_settings
from plugin.harness.proxy_process import free_port, start_proxy, stop_proxy
from tests.support.http.raw_http import ask
from tests.support.http.recording_relay import recorded
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.settings.control_effects import CONTROLS, SERVER, Server
from tests.support.settings.effect_bench import JSON_BODY, Bench, names_in
from tests.support.settings.setting_effects import SETTINGS
from tests.support.settings_table import find_reference

pytestmark = pytest.mark.opensearch_2_19

LEAST: dict[str, Any] = {"model": "m", "source_fields": ["t"]}
SETTING_NAMES = sorted(names_in(RerankSettings(model="m", source_fields=("t",))))
CONTROL_NAMES = sorted(names_in(RerankControls()))
DOCUMENTED = ROOT / "docs" / "reference" / "settings.md"
SPANS = re.findall(r"`([^`\n]+)`", DOCUMENTED.read_text())
SERVER_NAMES = sorted({name for span in SPANS for name in re.findall(r"--[a-z-]+|\b[A-Z][A-Z_]{5,}\b", span)})
"""Options of `serve`, and variables, that docs/reference/settings.md names."""


@pytest.fixture(scope="module")
def bench(client: OpenSearch, opensearch_url: str, proxy_url: str, toy_index: ToyIndex) -> Iterator[Bench]:
    made = Bench(client, opensearch_url, proxy_url, toy_index)
    yield made
    made.clear()


@pytest.mark.live
@pytest.mark.parametrize("name", SETTING_NAMES)
def test_a_setting_does_what_it_says(bench: Bench, name: str) -> None:
    assert name in SETTINGS, f"write what {name} does into tests/support/settings/setting_effects.py"
    SETTINGS[name](bench)


@pytest.mark.live
@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_a_request_control_does_what_it_says(bench: Bench, name: str) -> None:
    assert name in CONTROLS, (
        f"write what ext.rerank.{name} does into tests/support/settings/control_effects.py"
    )
    CONTROLS[name](bench)


@pytest.fixture(scope="module")
def server(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run `twinrank serve` with everything from its environment and its file, in front of a relay."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "defaults.json").write_text('{"window_size": 6}')
    (folder / "shop.json").write_text('{"weights": {"first_stage_rank": 1}}')
    with recorded(bench.url) as (url, _, callers), pytest.MonkeyPatch.context() as patched:
        patched.setenv("TWINRANK_UPSTREAM", url.replace("://", "://watcher:secret@"))
        patched.setenv("TMPDIR", str(folder))
        files = {"--settings": "defaults.json", "--combiner-file": "shop.json"}
        arguments = [part for option, name in files.items() for part in (option, str(folder / name))]
        proxy = start_proxy(None, folder, port=free_port(), bundle=TINY_BUNDLE, arguments=arguments)
        yield Server(proxy.url, folder, callers)
        stop_proxy(folder)
        proxy.child.wait()


@pytest.mark.live
@pytest.mark.parametrize("name", SERVER_NAMES)
def test_a_server_option_does_what_it_says(bench: Bench, server: Server, name: str) -> None:
    assert name in SERVER, f"write what {name} does into tests/support/settings/control_effects.py"
    SERVER[name](bench, server)


def test_nothing_is_tried_that_there_is_not() -> None:
    assert set(SETTINGS) == set(SETTING_NAMES)
    assert set(CONTROLS) == set(CONTROL_NAMES)
    assert set(SERVER) == set(SERVER_NAMES)


def _fields(prefix: str = "", name: str = "RerankSettings") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every setting's dotted name and what its JSON Schema says."""
    definitions = msgspec.json.schema(RerankSettings)["$defs"]
    for key, field in definitions[name]["properties"].items():
        reference = find_reference(field)
        if reference is None:
            yield prefix + key, field
        else:
            yield from _fields(f"{prefix}{key}.", reference)


def _wrong_values(field: dict[str, Any]) -> Iterator[Any]:
    """Yield what a setting must refuse: another type, beyond a limit, none of the words, empty."""
    kinds = [field, *field.get("anyOf", ())]
    takes_objects = any("$ref" in kind or kind.get("type") == "object" for kind in kinds)
    yield ["an", "array"] if takes_objects else {"an": "object"}
    if not any(kind.get("type") == "null" for kind in kinds):
        yield None
    for kind in kinds:
        if "enum" in kind:
            yield from ("none-of-them", 7, kind["enum"][0].upper())
        elif kind.get("type") in ("integer", "number"):
            least = kind["exclusiveMinimum"] if "exclusiveMinimum" in kind else kind["minimum"]
            yield from (least - 1, kind["maximum"] + 1, str(least), True)
        elif kind.get("type") == "boolean":
            yield from ("true", 1)
        elif kind.get("type") == "string":
            yield from (7, "")
        elif kind.get("type") == "array":
            yield from ("word", [7], [""], *([[]] if "minItems" in kind else []))
    if field.get("type") == "integer":
        yield field["minimum"] + 0.5


def _nested(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401
    group, _, key = name.rpartition(".")
    return {group: {key: value}} if group else {key: value}


FIELDS = dict(_fields())
WRONG = [(name, value) for name, field in FIELDS.items() for value in _wrong_values(field)]
TYPOS = [(name, name[:-1]) for name in SETTING_NAMES]


def _check(message: str, place: str, name: str, value: object) -> None:
    """Where, what was expected, what was found; a list's wrong item is named by its number."""
    assert re.match(rf"{re.escape(f'{place}.{name}')}(\[0\])?: expected \S", message), message
    found = value[0] if f"{name}[0]:" in message and isinstance(value, list) else value
    assert f", found {json.dumps(found)}. " in message, message


@pytest.mark.parametrize(("name", "value"), WRONG, ids=str)
def test_every_bad_value_of_a_setting_is_explained(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings(LEAST | _nested(name, value))
    _check(str(refused.value), "_meta.rerank", name, value)
    assert str(refused.value).endswith("Correct it with PUT _mapping")
    if name.partition(".")[0] not in ONLY_IN_MAPPING:
        with pytest.raises(SettingsError) as refused:
            check_server_defaults(_nested(name, value), "defaults.json")
        _check(str(refused.value), "defaults.json", name, value)


@pytest.mark.parametrize(("name", "typo"), TYPOS)
def test_every_misspelt_setting_gets_the_nearest_name(name: str, typo: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_settings(LEAST | _nested(typo, 1))
    assert str(refused.value).startswith(f"_meta.rerank.{typo}: expected one of ")
    assert f"(did you mean `{name.rpartition('.')[2]}`?)" in str(refused.value)


@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_every_bad_value_of_a_request_is_explained(name: str) -> None:
    for value in ({"an": "object"}, [1]):
        with pytest.raises(InvalidError) as refused:
            take_controls({"ext": msgspec.Raw(json.dumps({"rerank": _nested(name, value)}).encode())})
        _check(str(refused.value), "ext.rerank", name, value)
    with pytest.raises(InvalidError, match=rf"did you mean `{name.rpartition('.')[2]}`"):
        take_controls({"ext": msgspec.Raw(json.dumps({"rerank": _nested(name[:-1], 1)}).encode())})


@pytest.mark.live
def test_every_bad_value_is_a_400_over_http(bench: Bench) -> None:
    """The same sentence, in OpenSearch's shape; the mapping stays as it was."""
    before = bench.client.indices.get_mapping(index=bench.plain)
    for name, value in WRONG:
        body = json.dumps(_nested(name, value)).encode()
        answer = ask(bench.proxy_url, "PUT", f"/_plugins/_rerank/settings/{bench.plain}", body, JSON_BODY)
        error = json.loads(answer.body)
        assert (answer.status, error["status"]) == (400, 400), (name, value, answer.body)
        _check(error["error"]["reason"], "_meta.rerank", name, value)
        assert error["error"]["root_cause"][0] == {
            "type": "rerank_settings_exception", "reason": error["error"]["reason"],
        }  # fmt: skip
    assert bench.client.indices.get_mapping(index=bench.plain) == before
