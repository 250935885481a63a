"""A small recipe of labels over a small real collection, for tests that label and train."""

from pathlib import Path

from model_export.labelling.recipe import Recipe, read_recipe
from reranker.bundle import DEFAULT_BUNDLE

RECIPE = """
bundle = "{bundle}"
passage_tokens = 512

[[sources]]
kind = "beir"
path = "{data}"
licence = "PSF-2.0"
"""


def write_recipe(file: Path, data: Path, bundle: Path = DEFAULT_BUNDLE) -> Recipe:
    """Write the recipe of labels of the collection in `data`, and return it."""
    file.write_text(RECIPE.format(bundle=bundle, data=data))
    return read_recipe(file)
