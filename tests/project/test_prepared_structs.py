"""Every struct that a server decodes is laid out before threads use it (`opensearch.rawjson.prepared`)."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec

import indexer
import opensearch
import plugin
import reranker
from opensearch.rawjson.prepared import DECODERS

PACKAGES = (indexer, opensearch, plugin, reranker)

ONLY_WRITTEN = {
    "CohereResult", "CohereRerankAnswer", "TeiResult",
    "Chunk", "Embedding", "EmbeddingsAnswer", "RescoreAnswer", "UbiRecord",
}  # fmt: skip
"""Structs that are encoded and never decoded, which needs no layout."""

BY_ONE_THREAD = {
    "QueryRecord", "DocumentRecord", "Documented", "Baseline", "BaselineQuery",
    "_JudgementList", "_QueryEntry", "_QuerySet", "_RatedQuery", "_Rating",
}  # fmt: skip
"""Structs of files that a command reads, by one thread."""

FIRST_USE = """
import sys, threading, msgspec
from opensearch.settings.table import RerankSettings
sys.setswitchinterval(3e-4)
value = {"model": "m", "field": "v", "source_fields": ["text"], "fusion": {"weight": 3.0}}
start = threading.Barrier(32)

def read():
    start.wait()
    msgspec.convert(value, RerankSettings)

threads = [threading.Thread(target=read) for _ in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def find_modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def find_structs(kind: Any) -> Iterator[type]:  # noqa: ANN401  # a type, or msgspec's description of one
    """Yield the structs that a type is made of."""
    found = msgspec.inspect.type_info(kind)
    waiting: list[Any] = [found]
    while waiting:
        each = waiting.pop()
        if isinstance(each, msgspec.inspect.StructType):
            yield each.cls
            waiting += [field.type for field in each.fields]
        elif isinstance(each, msgspec.inspect.Type):
            values = [getattr(each, name) for name in each.__struct_fields__]
            waiting += [one for value in values for one in (value if isinstance(value, tuple) else (value,))]


def list_subclasses(kind: type) -> Iterator[type]:
    subclasses: list[type] = kind.__subclasses__()
    for each in subclasses:
        yield each
        yield from list_subclasses(each)


def test_every_struct_is_laid_out_by_a_module() -> None:
    modules = list(find_modules())
    decoders = [value for module in modules for value in vars(module).values()]
    kinds = [each.type for each in (*decoders, *DECODERS) if isinstance(each, msgspec.json.Decoder)]
    laid_out = {struct.__name__ for kind in kinds for struct in find_structs(kind)}
    names = {package.__name__ for package in PACKAGES}
    ours = {
        each.__name__
        for each in list_subclasses(msgspec.Struct)
        if each.__module__.partition(".")[0] in names and msgspec.structs.fields(each)
    }
    bases = {base.__name__ for each in list_subclasses(msgspec.Struct) for base in each.__bases__}
    assert ours - laid_out - bases - ONLY_WRITTEN - BY_ONE_THREAD == set()
    assert {"RerankSettings", "FusionSettings", "IndexRecord", "Manifest"} <= laid_out


def test_threads_may_read_settings_for_the_first_time_at_once() -> None:
    """If settings were not laid out, most of these processes would end with a segmentation fault."""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=120)
