"""`enable`, `sync` and `status` warn of an index whose texts the bundle does not read."""

import json
import shutil
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from indexer.language_sample import WORTH_A_WARNING, LanguageSample, count_sample
from reranker import manifest as manifests
from reranker.language_identifier import identify
from reranker.languages import ReadableScripts
from tests.support.index_command import Command
from tests.support.paths import TINY_BUNDLE

ENGLISH = ReadableScripts(["en"])
RUSSIAN = [f"чехол номер {n}, красный" for n in range(71)]
MIXED = [f"чехол для samsung galaxy s{n} красный" for n in range(71)]
READABLE = [f"a red cover, number {n}" for n in range(29)]


@pytest.fixture(scope="module")
def english_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle as one that reads English."""
    folder = Path(shutil.copytree(TINY_BUNDLE, tmp_path_factory.mktemp("bundle") / "tiny"))
    file = folder / manifests.FILE_NAME
    values = json.loads(file.read_text()) | {"languages": ["en"]}
    file.write_text(json.dumps(values | {"digest": manifests.digest(values)}))
    return folder


def filled(client: OpenSearch, name: str, texts: list[str]) -> None:
    helpers.bulk(client, ({"_index": name, "_source": {"text": text}} for text in texts), refresh=True)


@pytest.mark.live
@pytest.mark.parametrize(
    ("texts", "searches"), [(RUSSIAN, "all searches"), (MIXED, "searches in such scripts")]
)
def test_each_command_says_how_much_the_bundle_cannot_read(
    client: OpenSearch, opensearch_url: str, index_name: str, english_bundle: Path, texts: list[str],
    searches: str,
) -> None:  # fmt: skip
    filled(client, index_name, texts + READABLE)
    command = Command(opensearch_url, index_name, english_bundle)
    warning = (
        "71% of 100 sampled texts are in a script that tiny does not read (languages: en):"
        f" {searches} are passed through with reason=language."
        " docs/reference/models.md says which languages a bundle reads"
    )
    for name, *arguments in (
        ("enable", "--field", "text", "--dry-run"), ("enable", "--field", "text"), ("sync",),
    ):  # fmt: skip
        done = command(name, *arguments)
        assert done.returncode == 0, done.stderr
        assert f"{index_name}: {warning}" in done.stderr.decode(), name
    assert f"languages: {warning}" in command("status").stdout.decode()
    assert json.loads(command("status", "--json").stdout)["languages"] == warning


@pytest.mark.live
def test_nothing_is_said_where_there_is_nothing_to_say(
    client: OpenSearch, opensearch_url: str, index_name: str, english_bundle: Path
) -> None:
    """Readable texts; an admin who allows any language; a bundle that names none; a new index."""
    new = Command(opensearch_url, f"{index_name}-new", english_bundle)("enable", "--field", "text")
    filled(client, index_name, READABLE)
    readable = Command(opensearch_url, index_name, english_bundle)("enable", "--field", "text")
    filled(client, index_name, RUSSIAN)
    unnamed = Command(opensearch_url, index_name)("enable", "--field", "text")
    allowed = Command(opensearch_url, index_name, english_bundle)("enable", "--set", "languages=any")
    for done in (new, readable, unnamed, allowed):
        assert done.returncode == 0, done.stderr
        assert b"sampled" not in done.stderr


def test_texts_are_counted_by_most_of_their_letters() -> None:
    texts = ["чехол", "чехол для samsung galaxy s9", "red чехол", "cover", "", "12"]
    answer = {"hits": {"hits": [{"_source": {"text": text}} for text in texts] + [{}, {"_source": {"n": 1}}]}}
    found = count_sample(answer, ("text",), ENGLISH)
    assert found == LanguageSample(num_texts=5, num_foreign=2, num_unreadable=1)


def test_few_texts_in_other_scripts_are_no_reason_to_warn() -> None:
    few = LanguageSample(100, round(100 * WORTH_A_WARNING) - 1, 0)
    assert few.warning("m", ["en"]) is None
    assert LanguageSample(0, 0, 0).warning("m", ["en"]) is None
    assert not LanguageSample(0, 0, 0).is_unreadable


def sample(**languages: int) -> LanguageSample:
    return LanguageSample(sum(languages.values()), 0, 0, languages)


def test_languages_are_worth_writing_if_the_model_does_not_read_one() -> None:
    assert sample(en=95, de=5).find_settings(["en"]) is None
    assert sample(en=70, de=30).find_settings(["en-GB"]) == {"en": 0.7, "de": 0.3}
    assert sample(en=88, de=10, fr=2).find_settings(["en"]) == {"en": 0.88, "de": 0.1}
    assert sample(en=70, de=30).find_settings(["en", "de"]) is None
    assert sample(en=2, de=17).find_settings(["en"]) is None  # too few texts


def test_the_warning_says_what_passes_through() -> None:
    mostly, some = (sample(en=100 - share, de=share).warning("m", ["en"]) for share in (90, 20))
    assert mostly is not None
    assert "de 90%. Here all searches are passed through" in mostly
    assert some is not None
    assert "de 20%. Here searches in them are passed through" in some
    assert sample(en=95, de=5).warning("m", ["en"]) is None


def test_texts_are_identified_by_their_beginning() -> None:
    texts = ["Dieses Paket enthält die Bibliotheken, die Programme zum Lesen brauchen."] * 30
    answer = {"hits": {"hits": [{"_source": {"text": text}} for text in texts]}}
    found = count_sample(answer, ("text",), ENGLISH, identify)
    assert found.shares == {"de": 1.0}
