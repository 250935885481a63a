"""What is learned from: sources, splits, near duplicates, negatives, configurations, and bad ones."""

import gzip
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.data.examples import Examples, read_examples
from model_export.data.sources import Source
from model_export.data.split import NEAR, NearDuplicates, normalise_words, remove_near_duplicates, split
from model_export.data.texts import SPAN_WORDS, WORDNET_FILES, draw_spans, read_wordnet
from model_export.errors import TrainingError
from model_export.train.losses import (
    alignment,
    gold_cross_entropy,
    listwise_kl,
    margin_mse,
    soft_cross_entropy,
)
from model_export.train.negatives import make_groups
from model_export.train.student import build_vocabulary, select_layers

pytestmark = pytest.mark.export

CLICKS = "query\tdocument\tclicks\timpressions\n"
words = st.lists(
    st.sampled_from(["red", "green", "blue", "wet", "dry", "old", "new", "big"]), min_size=1, max_size=7
).map(" ".join)


def source(file: Path, content: str, kind: str) -> Source:
    file.write_text(content)
    return Source(kind, str(file), "CC0")  # type: ignore[arg-type]  # a test's own values


def test_a_click_log_gives_the_share_of_clicks(tmp_path: Path) -> None:
    rows = "shoes\tred shoes\t3\t4\nshoes\tblue hat\t0\t9\nhat\tblue hat\t1\t1\n"
    found = read_examples([source(tmp_path / "log.tsv", CLICKS + rows, "clicks")])
    assert list(found.queries.values()) == ["shoes", "hat"]
    assert [list(grades.values()) for grades in found.gold.values()] == [[0.75, 0.0], [1.0]]
    assert found.list_relevant("0/0") == ["0/0"]


def test_pairs_may_be_gzipped_and_wrapped(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv.gz").write_bytes(gzip.compress(b"tcp\tA protocol.\nudp\tAnother.\n"))
    about = Source("pairs", str(tmp_path / "pairs.tsv.gz"), "CC0", template="what is {}", max_queries=1)
    assert read_examples([about]).queries == {"0/1": "what is tcp"}


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("pairs", "only one column\n", "line 1: expected query, tab, text"),
        ("pairs", "", "expected queries in .*, found none"),
        ("texts", "\n \n", "expected queries in .*, found none"),
        ("clicks", "q\td\t1\t1\n", "expected the columns"),
        ("clicks", CLICKS + "q\td\t2\t1\n", "line 2: expected query, document, clicks and impressions"),
        ("clicks", CLICKS + "q\td\t-1\t1\n", "line 2"),
        ("clicks", CLICKS + "q\td\t0\t0\n", "line 2"),
        ("clicks", CLICKS, "found none"),
        ("beir", "", "expected a collection in BEIR layout"),
    ],
)
def test_a_source_that_is_not_one_says_where(tmp_path: Path, kind: str, content: str, message: str) -> None:
    about = source(tmp_path / "data.tsv", content, kind)
    where = Source("beir", str(tmp_path / "none"), "CC0") if kind == "beir" else about
    with pytest.raises(TrainingError, match=message):
        read_examples([where])


ENTRY = (
    "00002724 29 v 02 choke 0 hold_back(p) 0 001 @ 00001740 v 0000 01 + 02 00"
    ' | breathe with difficulty; "She choked with emotion"  \n'
)


def test_a_dictionary_gives_words_definitions_and_examples(tmp_path: Path) -> None:
    for name in WORDNET_FILES:
        (tmp_path / name).write_text("  1 its licence\n" + (ENTRY if name == "data.verb" else ""))
    expected = ["choke", "hold back", "breathe with difficulty", "She choked with emotion"]
    found = read_examples([Source("wordnet", str(tmp_path), "WordNet 3.0")])
    assert list(found.queries.values()) == expected
    (tmp_path / "data.adv").write_text("00001 02 r zz no 0 | none\n")
    with pytest.raises(TrainingError, match=r"data.adv, line 1: expected a synset and its gloss"):
        list(read_wordnet(tmp_path))
    (tmp_path / "data.adj").unlink()
    with pytest.raises(TrainingError, match=r"expected WordNet's data.adj"):
        list(read_wordnet(tmp_path))


MODULE = """<document xmlns="http://cnx.rice.edu/cnxml" xmlns:m="http://www.w3.org/1998/Math/MathML">
<title>Lift and <term>drag</term></title>
<content><para>A wing is held up by <emphasis>lift</emphasis>. What
holds it back in a steady flow? See <link target-id="a"/>.</para>
<para>The force <m:math><m:mi>L</m:mi></m:math> is zero then.</para>
<para>Too short.</para></content></document>
"""


def test_a_textbook_gives_headings_and_questions_over_paragraphs(tmp_path: Path) -> None:
    folder = tmp_path / "modules" / "m1"
    folder.mkdir(parents=True)
    (folder / "index.cnxml").write_text(MODULE)
    about = Source("cnxml", str(tmp_path), "CC BY 4.0")
    found = read_examples([about])
    assert list(found.queries.values()) == ["Lift and drag", "What holds it back in a steady flow?"]
    assert list(found.documents.values()) == [
        "A wing is held up by lift. What holds it back in a steady flow? See .",
        "The force is zero then.",
    ]
    assert len(read_examples([msgspec.structs.replace(about, spans=1)]).queries) == 2
    (folder / "index.cnxml").write_text(MODULE[:90])
    with pytest.raises(TrainingError, match=r"expected CNXML in .*index.cnxml, found: "):
        read_examples([about])
    with pytest.raises(TrainingError, match=r"expected books in CNXML in .*, found no index.cnxml below"):
        read_examples([Source("cnxml", str(tmp_path / "none"), "CC BY 4.0")])


@settings(deadline=None)
@given(documents=st.lists(words), per_document=st.integers(1, 4))
def test_spans_are_pieces_of_the_documents(documents: list[str], per_document: int) -> None:
    found = list(draw_spans(documents, per_document=per_document))
    assert found == list(draw_spans(documents, per_document=per_document))
    assert len(documents) <= len(found) <= per_document * len(documents)
    assert all(len(span.split()) <= SPAN_WORDS[1] for span in found)
    whole = [" ".join(document.split()) for document in documents]
    assert all(any(span in document for document in whole) for span in found)


def test_spans_of_a_source_stand_in_its_queries_place(tmp_path: Path) -> None:
    about = source(tmp_path / "pairs.tsv", "tcp\t" + "one two three four " * 9 + "\n", "pairs")
    found = read_examples([msgspec.structs.replace(about, spans=3)])
    assert 1 <= len(found.queries) <= 3
    assert "tcp" not in found.queries.values()
    longer = read_examples([msgspec.structs.replace(about, spans=3, span_words=(14, 18))])
    assert all(14 <= len(text.split()) <= 18 for text in longer.queries.values())
    with pytest.raises(TrainingError, match=r"expected span_words as fewest and most, found \[5, 4\]"):
        read_examples([msgspec.structs.replace(about, spans=3, span_words=(5, 4))])


@settings(deadline=None)
@given(queries=st.lists(words, min_size=2, max_size=40), seed=st.integers(0, 9))
def test_no_query_stands_on_both_sides(queries: list[str], seed: int) -> None:
    whole = Examples({str(i): text for i, text in enumerate(queries)}, {}, {})
    try:
        learned, kept = split(whole, 0.3, limit=99, seed=seed)
    except TrainingError:
        return
    sides = [{normalise_words(text) for text in side.queries.values()} for side in (learned, kept)]
    assert not sides[0] & sides[1]
    assert len(learned.queries) + len(kept.queries) == len(queries)


@settings(deadline=None)
@given(texts=st.lists(words, max_size=30), query=words)
def test_near_duplicates_are_those_that_a_full_search_finds(texts: list[str], query: str) -> None:
    mine = normalise_words(query)
    near = any(
        len(mine & normalise_words(each)) >= NEAR * len(mine | normalise_words(each)) for each in texts
    )
    assert NearDuplicates(texts).has(query) == near


def test_evaluation_queries_are_removed_from_training() -> None:
    whole = Examples({"a": "How do I wait a bit?", "b": "read a file"}, {}, {})
    assert list(remove_near_duplicates(whole, ["how do i wait a bit"]).queries) == ["b"]


def test_a_group_has_its_relevant_document_first_and_no_other_relevant_one() -> None:
    documents = {f"d{i}": f"text {i}" for i in range(9)}
    whole = Examples({"q": "x"}, documents, {"q": {"d1": 1.0, "d2": 0.5, "d3": 0.0}})
    pools = [({"q": dict.fromkeys(["d1", "d4", "d5", "d6"], 1.0)}, 3)]
    made = make_groups(whole, pools, seed=1)
    assert [group.documents[0] for group in made] == ["d1", "d2"]
    for group in made:
        assert group.documents[1] == "d3", "a judged negative comes first"
        assert set(group.documents[2:]) <= {"d4", "d5", "d6"}
        assert group.labels[1:] == (0.0, 0.0, 0.0)
    assert make_groups(whole, pools, seed=1) == made


def test_one_class_only_and_too_few_documents_are_refused() -> None:
    documents = {f"d{i}": "" for i in range(9)}
    with pytest.raises(TrainingError, match="found one class only"):
        make_groups(Examples({"q": "x"}, documents, {"q": {"d1": 0.0}}), [({}, 2)], seed=1)
    with pytest.raises(TrainingError, match="expected more than 9 documents"):
        make_groups(Examples({"q": "x"}, documents, {"q": {"d1": 1.0}}), [({}, 9)], seed=1)


def test_losses_are_least_where_the_student_says_what_the_teacher_says() -> None:
    teacher = torch.tensor([[2.0, -1.0, 0.5], [1.0, 0.0, -3.0]])
    other = torch.tensor([[0.0, 1.0, 0.5], [1.0, 2.0, 3.0]])
    assert soft_cross_entropy(teacher, teacher, 1.0) < soft_cross_entropy(other, teacher, 1.0)
    for loss in (margin_mse, listwise_kl):
        assert loss(teacher, teacher, 1.0).item() == pytest.approx(0, abs=1e-6)
        assert loss(teacher + 5, teacher, 1.0).item() == pytest.approx(0, abs=1e-5), (
            "the level does not matter"
        )
        assert loss(other, teacher, 1.0) > 0.1
    assert gold_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item() == pytest.approx(
        math.log(2)
    )
    unit = torch.nn.functional.normalize(teacher, dim=1)
    assert alignment(unit, unit).item() == pytest.approx(0, abs=1e-6)
    assert alignment(unit, -unit).item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("first:2", [0, 1]),
        ("last:2", [4, 5]),
        ("every:2", [0, 2, 4]),
        ((0, 5), [0, 5]),
    ],
)
def test_layers_by_word_or_number(layers: str | tuple[int, ...], kept: list[int]) -> None:
    assert select_layers(layers, 6) == kept


@pytest.mark.parametrize("layers", ["some", "first:0", "first:7", "every:x", (6,), ()])
def test_layers_that_there_are_not(layers: str | tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="expected layers as"):
        select_layers(layers, 6)


def test_the_vocabulary_has_the_most_frequent_trigrams() -> None:
    assert build_vocabulary(["abab abab", "abc"], 3) == ("#ab", "ab#", "aba")


def test_the_command_says_what_it_needs() -> None:
    code = "import sys; sys.modules['torch'] = None; from model_export.entry import main; main()"
    command = [sys.executable, "-c", code, "train", "my.toml", "--out", "var"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: twinrank-export train needs the package torch, found none. Run: ")
