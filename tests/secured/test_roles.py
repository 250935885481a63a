"""The deployed roles: each lets its commands work, and with one right less they are refused."""

import json
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from indexer import migration
from opensearch.client import OpenSearchClient
from plugin.commands.main import main
from reranker.bundle import Bundle
from tests.secured.conftest import Secured
from tests.support.indices.toy_index import index_body
from tests.support.other_bundle import other_bundle
from tests.support.paths import DOCS, ROOT, TINY_BUNDLE

pytestmark = pytest.mark.live

FOLDER = ROOT / "opensearch" / "deploy" / "roles"
INDEX = "articles-of-roles"
BUNDLE = ("--bundle", str(TINY_BUNDLE))

COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "enable": [("enable", f"{INDEX}-new", "--field", "text", *BUNDLE)],
    "settings": [("settings", INDEX)],
    "status": [
        ("status", INDEX, *BUNDLE),
        ("explain", INDEX, "and file how", *BUNDLE),
        ("estimate", INDEX, *BUNDLE),
    ],
    "index": [("index", INDEX, "{documents}", *BUNDLE)],
    "disable": [("disable", INDEX)],
    "strip": [("disable", INDEX, "--strip")],
    "sync": [("sync", INDEX, *BUNDLE)],
    "backfill": [("backfill", INDEX, "--slice", "1/2", *BUNDLE)],
    "verify": [("verify", INDEX, *BUNDLE)],
    "migrate": [
        ("migrate", INDEX, "--to", "{other}"),
        ("migrate", f"{INDEX}-begun", "cutover", "--to", "{other}", "--coverage", "0"),
    ],
}
"""Role, or the command that uses another one -> the commands that it is for."""

ROLE_OF = {"backfill": "sync"}
"""Those that have no role of their own."""

DISPENSABLE = {
    ("settings", "indices:admin/index_template/simulate_index"),  # noted: no value comes from a template
    ("sync", "indices:admin/refresh"),  # waits for the index's own refreshes
    ("sync", "indices:admin/refresh[s]"),
    ("sync", "indices:data/read/get"),
    ("sync", "indices:data/read/mget[shard]"),
    ("backfill", "indices:admin/refresh"),
    ("backfill", "indices:admin/refresh[s]"),
    ("backfill", "indices:data/read/get"),  # a first run has nothing to read
    ("backfill", "indices:data/read/mget[shard]"),
    ("verify", "indices:admin/refresh"),
    ("verify", "indices:admin/refresh[s]"),
    ("migrate", "indices:data/read/get"),
    ("migrate", "indices:data/read/mget[shard]"),
}
"""Rights without which the command still ends well; docs/how-to/secured-clusters.md says what is lost."""


@pytest.fixture
def command(secured: Secured, tmp_path: Path, is_long: bool) -> Iterator[Any]:
    """Yield what runs a command with a role, on an index made anew."""
    if not is_long:
        pytest.skip("roles are tried one right after the other with pytest --long")
    documents = tmp_path / "documents.jsonl"
    documents.write_text('{"_id": "a", "text": "and file"}\n')
    other = other_bundle(tmp_path / "other")

    def run(role: dict[str, Any], arguments: tuple[str, ...]) -> Result:
        _made_anew(secured, other)
        secured.set_role("one-command", role)
        filled = [each.format(documents=documents, other=other.path) for each in arguments]
        return CliRunner().invoke(main, [*filled, "--upstream", secured.url_as("one-command")])

    yield run
    secured.admin.indices.delete(index=f"{INDEX}*,.twinrank-sync", ignore_unavailable=True)


def _made_anew(secured: Secured, other: Bundle) -> None:
    """Make an enabled index with documents, and one whose change of model has begun."""
    admin, bundle = secured.admin, secured.articles.bundle
    admin.indices.delete(index=f"{INDEX}*,.twinrank-sync", ignore_unavailable=True)
    admin.indices.create(index=INDEX, body=index_body(bundle))
    admin.indices.create(index=f"{INDEX}-begun", body=index_body(bundle))
    with closing(OpenSearchClient(secured.url_as("admin"))) as upstream:
        migration.begin(upstream, migration.find_enabled(upstream, f"{INDEX}-begun")[0], other.vectors_of)
    some = {"index": "articles", "query": {"range": {"n": {"lt": 5}}}}
    admin.reindex(body={"source": some, "dest": {"index": INDEX}}, refresh=True)
    admin.index(index=INDEX, id="new", body={"text": "and file how"}, refresh=True)


def _actions(role: dict[str, Any]) -> list[str]:
    on_indices = [action for each in role["index_permissions"] for action in each["allowed_actions"]]
    return sorted({*role["cluster_permissions"], *on_indices})


def _without(role: dict[str, Any], action: str) -> dict[str, Any]:
    less = deepcopy(role)
    for actions in (less["cluster_permissions"], *(p["allowed_actions"] for p in less["index_permissions"])):
        if action in actions:
            actions.remove(action)
    return less


@pytest.mark.parametrize("name", COMMANDS)
def test_a_role_is_enough_and_each_of_its_rights_is_needed(command: Any, name: str) -> None:  # noqa: ANN401
    role = json.loads((FOLDER / f"{ROLE_OF.get(name, name)}.json").read_text())
    for arguments in COMMANDS[name]:
        done = command(role, arguments)
        assert done.exit_code == 0, (arguments, done.output)
    dispensable = {action for each, action in DISPENSABLE if each == name}
    problems = []
    for action in _actions(role):
        refused = [command(_without(role, action), arguments) for arguments in COMMANDS[name]]
        is_refused = any(done.exit_code for done in refused)
        is_clear = any(f"no permissions for [{action}" in done.output for done in refused)
        if action in dispensable:
            is_refused, is_clear = not is_refused, True
        if not (is_refused and is_clear):
            problems.append((action, [(done.exit_code, done.output[-300:]) for done in refused]))
    assert not problems, problems


def test_every_role_is_one_that_the_plugin_takes_and_the_documentation_names(secured: Secured) -> None:
    documented = (DOCS / "how-to" / "secured-clusters.md").read_text()
    for file in FOLDER.glob("*.json"):
        secured.set_role(f"twinrank-{file.stem}", json.loads(file.read_text()))
        assert f"`{file.stem}.json`" in documented
    assert {ROLE_OF.get(name, name) for name in COMMANDS} <= {file.stem for file in FOLDER.glob("*.json")}
