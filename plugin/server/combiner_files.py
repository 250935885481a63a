"""The combiners of a proxy: files that `twinrank serve --combiner-file` names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from plugin.errors import CommandError
from reranker.combiner import Combiner
from reranker.combiner_files import read_combiner


def read_combiners(files: Sequence[Path]) -> Mapping[str, Combiner]:
    """Return the combiners by the names of their files, without `.json`.

    Raises:
        CombinerError: one of them cannot be used.
        CommandError: two have one name.
    """
    found = {path.name.removesuffix(".json"): read_combiner(path) for path in files}
    if len(found) < len(files):
        raise CommandError("--combiner-file: expected files of different names, found two of one name")
    return found
