"""Converters of question answering collections."""

import csv
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from model_export.datasets.converted import CollectionDocument, Converted, Judgement, join_lines

_SPLITS = {"train": "train", "dev": "", "test": ""}
"""Upstream's splits of WikiQA and TREC QA, and where they go: development and test are evaluated together."""

_OVERLAP = 0.8
"""Share of the shorter passage's words from which two passages are one; none is between 0.69 and 0.88."""


class _Texts:
    """Distinct texts, numbered in the order in which they come."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._ids: dict[tuple[str, str], str] = {}

    def add(self, text: str, title: str = "") -> str:
        """Return the id of a text, a new one if it was not there yet."""
        return self._ids.setdefault((title, text), f"{self._prefix}{len(self._ids)}")

    @property
    def documents(self) -> list[CollectionDocument]:
        """All of them."""
        return [CollectionDocument(name, text, title) for (title, text), name in self._ids.items()]


def convert_squad2(folder: Path) -> Converted:
    """Convert `dev-v2.0.json` and `test-v2.0.json`, the two halves of SQuAD 2.0's development set.

    The questions of `dev` are judged. Those that have no answer go to the table `unanswerable_dev`, and the
    questions of `test`, whose answers are withheld, to `pairs`.
    """
    texts = _Texts("s")
    converted = Converted(queries={"": {}}, qrels={"": []}, tables={"pairs": [], "unanswerable_dev": []})
    for half in ("dev", "test"):
        for article in json.loads((folder / f"{half}-v2.0.json").read_bytes())["data"]:
            title = article["title"].replace("_", " ")
            for paragraph in article["paragraphs"]:
                text = join_lines(paragraph["context"])
                document = texts.add(text, title)
                for question in paragraph["qas"]:
                    _add_question(converted, half, question, document, f"{title}. {text}")
    converted.documents = texts.documents
    return converted


def _add_question(
    converted: Converted, half: str, question: dict[str, object], document: str, text: str
) -> None:
    asked = join_lines(str(question["question"]))
    if half == "test":
        converted.tables["pairs"].append((asked, text))
    elif question.get("is_impossible") or not question.get("answers"):
        converted.tables["unanswerable_dev"].append((asked, document))
    else:
        converted.queries[""][str(question["id"])] = asked
        converted.qrels[""].append((str(question["id"]), document, 1))


def convert_natural_questions(folder: Path) -> Converted:
    """Convert `nq-open-oracle.jsonl.gz` (Lost in the Middle) and `qed-dev.jsonlines` (QED): gold passages.

    A paragraph of QED that lies in a passage of the other, or holds one, is that passage.
    """
    texts, questions = _Texts("p"), _Texts("q")
    qrels: list[Judgement] = []
    with gzip.open(folder / "nq-open-oracle.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            gold = next(each for each in row["ctxs"] if each["isgold"])
            document = texts.add(join_lines(gold["text"]), gold["title"])
            qrels.append((questions.add(join_lines(row["question"])), document, 1))
    passages = _Passages(texts.documents)
    for line in (folder / "qed-dev.jsonlines").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text, title = _join_tokens(row["paragraph_text"]), row["title_text"]
        found = passages.find(text, title)
        if not found:
            found = [texts.add(text, title)]
            passages.add(CollectionDocument(found[0], text, title))
        question = questions.add(join_lines(row["question_text"]))
        qrels += [(question, document, 1) for document in found]
    queries = {each.id: each.text for each in questions.documents}
    return Converted(texts.documents, {"": queries}, {"": list(dict.fromkeys(qrels))})


class _Passages:
    """Finds passages that a text overlaps with: the same title, and most of the shorter one's words."""

    def __init__(self, documents: Iterable[CollectionDocument]) -> None:
        self._by_title: dict[str, list[tuple[str, Counter[str]]]] = {}
        for each in documents:
            self.add(each)

    def add(self, passage: CollectionDocument) -> None:
        """Keep a passage."""
        self._by_title.setdefault(passage.title, []).append((passage.id, _count_words(passage.text)))

    def find(self, text: str, title: str) -> list[str]:
        """Return the ids of the passages that overlap with a text."""
        words = _count_words(text)
        return [
            name
            for name, other in self._by_title.get(title, [])
            if (words & other).total() >= _OVERLAP * max(1, min(words.total(), other.total()))
        ]


def _count_words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def _join_tokens(text: str) -> str:
    """Return a text whose tokens are separated by blanks as one would write it."""
    text = join_lines(text).replace("`` ", '"').replace(" ''", '"').replace(" -- ", "\N{EN DASH}")
    text = re.sub(r" ([,.;:!?%)\]])", r"\1", text)
    return re.sub(r"([(\[]) ", r"\1", text).replace(" - ", "-").replace(" '", "'")


def convert_wikiqa(folder: Path) -> Converted:
    """Convert WikiQA as `SPLIT-a.toks`, `SPLIT-b.toks`, `SPLIT-id.txt` and `SPLIT-sim.txt` have it."""
    rows = []
    for split in _SPLITS:
        columns = [
            (folder / f"{split}-{name}").read_text(encoding="utf-8").splitlines()
            for name in ("id.txt", "a.toks", "b.toks", "sim.txt")
        ]
        rows += [(split, *row) for row in zip(*columns, strict=True)]
    return _convert_sentences("w", rows)


def convert_trecqa(folder: Path) -> Converted:
    """Convert TREC QA's `TRAIN.xml`, `DEV.xml` and `TEST.xml`; their tokens are separated by tabs."""
    rows = []
    for split in _SPLITS:
        text = (folder / f"{split.upper()}.xml").read_text(encoding="utf-8", errors="replace")
        for name, block in re.findall(r"<QApairs id='(.*?)'>(.*?)</QApairs>", text, re.DOTALL):
            asked = re.search(r"<question>\s*\n(.*)", block)
            for kind, answer in re.findall(r"<(positive|negative|question)>\s*\n(.*)", block):
                label = {"positive": "1", "negative": "0", "question": ""}[kind]
                rows.append((split, name, asked[1] if asked else "", answer, label))
    return _convert_sentences("t", rows)


def _convert_sentences(prefix: str, rows: Iterable[tuple[str, ...]]) -> Converted:
    """Convert rows of split, question id, question, sentence and label; an empty label: no sentence."""
    texts = _Texts(prefix)
    converted = Converted()
    grades: dict[str, dict[tuple[str, str], int]] = {}
    for split, name, asked, sentence, label in rows:
        place, query = _SPLITS[split], f"{split}{name}"
        converted.queries.setdefault(place, {})[query] = join_lines(asked)
        if label:
            pair = query, texts.add(join_lines(sentence))
            judged = grades.setdefault(place, {})
            judged[pair] = max(judged.get(pair, 0), int(label))
    converted.documents = texts.documents
    converted.qrels = {
        place: [(*pair, grade) for pair, grade in judged.items()] for place, judged in grades.items()
    }
    return converted


def convert_epqa(folder: Path) -> Converted:
    """Convert ePQA's `dev.csv`: a row is one candidate for a shopper's question."""
    converted = Converted(queries={"": {}}, qrels={"": []})
    with (folder / "dev.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            document = f"c{row['qa_pair_id']}"
            title = join_lines(row["title"])
            converted.documents.append(CollectionDocument(document, join_lines(row["candidate"]), title))
            converted.queries[""][row["qid"]] = join_lines(row["question"])
            converted.qrels[""].append((row["qid"], document, int(row["label"])))
    return converted
