"""Reading sources of each kind, and errors that say where they are wrong."""

import gzip
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.examples import read_examples
from model_export.data.sources import Source
from model_export.data.texts import WORDNET_FILES, read_wordnet
from model_export.errors import TrainingError

pytestmark = pytest.mark.export

CLICKS = "query\tdocument\tclicks\timpressions\n"


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
        ("clicks", CLICKS + "q\td\t2\t1\n", "row 2: expected impressions of at least 1"),
        ("clicks", CLICKS + "q\td\t-1\t1\n", "row 2"),
        ("clicks", CLICKS + "q\td\t0\t0\n", "row 2"),
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


def test_spans_of_a_source_replace_its_queries(tmp_path: Path) -> None:
    about = source(tmp_path / "pairs.tsv", "tcp\t" + "one two three four " * 9 + "\n", "pairs")
    found = read_examples([msgspec.structs.replace(about, spans=3)])
    assert 1 <= len(found.queries) <= 3
    assert "tcp" not in found.queries.values()
    longer = read_examples([msgspec.structs.replace(about, spans=3, span_words=(14, 18))])
    assert all(14 <= len(text.split()) <= 18 for text in longer.queries.values())
    with pytest.raises(TrainingError, match=r"expected span_words as fewest and most, found \[5, 4\]"):
        read_examples([msgspec.structs.replace(about, spans=3, span_words=(5, 4))])


def test_the_command_says_what_it_needs() -> None:
    code = "import sys; sys.modules['torch'] = None; from model_export.entry import main; main()"
    command = [sys.executable, "-c", code, "train", "my.toml", "--out", "var"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: twinrank-export train needs the package torch, found none. Run: ")
