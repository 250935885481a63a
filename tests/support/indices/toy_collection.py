"""Thirty short documents and six queries of our own, whose words differ from those of their answers."""

import json
from pathlib import Path

DOCUMENTS = (
    "A hotel room at a low price near the railway station",
    "Cheap shots in ice hockey and how to avoid a penalty",
    "The cheap wine from the place on the corner gave us a headache",
    "Where to place the fridge in a small kitchen",
    "City councils vote on the budget in March",
    "How to get rid of rust on garden tools",
    "Removing brown stains from iron spades and shears",
    "The brown bear lives in the mountains of the north",
    "Iron in food: lentils, spinach and red meat",
    "My brown shoes need a new pair of laces",
    "Simple dishes that children like and that are ready in twenty minutes",
    "Quick growing trees for a new garden",
    "Fast trains between the two capitals",
    "Dinner jackets and what to wear with them",
    "A fast dinner for the referee before the match",
    "What to do when the laptop does not switch on",
    "The computer club meets on Tuesdays",
    "A start in computer science for older people",
    "Will the new computer tax start in May?",
    "Turning off the heating over the summer",
    "Ways to fall asleep when the mind keeps racing",
    "The night train leaves at ten and arrives at seven",
    "Night sky in winter: which stars to look for",
    "I cannot see the stage from this seat at night",
    "Good resting places for migrating birds",
    "Teaching a puppy to stay calm when it is alone",
    "Dog years: how old is your dog in human terms?",
    "Home made dog biscuits with oats",
    "Leaving home for the first time",
    "Train your memory with ten minutes a day at home",
)

QUERIES = {
    "q0": ("cheap place to stay in the city", {0: 2, 1: 0, 2: 0, 3: 0, 4: 0}),
    "q1": ("clean brown marks off iron tools", {5: 1, 6: 2, 7: 0, 8: 0, 9: 0}),
    "q2": ("fast dinner for kids", {10: 2, 12: 0, 13: 0, 14: 0}),
    "q3": ("computer will not start", {15: 2, 16: 0, 17: 0, 18: 0}),
    "q4": ("cannot rest at night", {20: 2, 21: 0, 22: 0, 23: 0, 24: 0}),
    "q5": ("train a dog to be home alone", {25: 2, 26: 0, 27: 0, 28: 0, 29: 0}),
}
"""Query id -> its text and the grades of judged documents, by their position."""


def write_toy_collection(folder: Path) -> Path:
    """Write the collection in BEIR layout into a new folder `toy`, and return it."""
    toy = folder / "toy"
    toy.mkdir()
    documents = ({"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(DOCUMENTS))
    queries = ({"_id": query, "text": text} for query, (text, _) in QUERIES.items())
    (toy / "corpus.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in documents))
    (toy / "queries.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in queries))
    rows = (
        f"{query}\td{n}\t{grade}" for query, (_, grades) in QUERIES.items() for n, grade in grades.items()
    )
    (toy / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    return toy
