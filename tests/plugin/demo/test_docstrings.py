"""Docstrings of the real standard library, and of small sources."""

import pytest

from plugin.demo.docstrings import Documented, read_module, read_standard_library, split_docstring


@pytest.fixture(scope="module")
def library() -> dict[str, Documented]:
    return {document.id: document for document in read_standard_library()}


def test_several_thousand_names_of_every_kind(library: dict[str, Documented]) -> None:
    assert len(library) > 3000
    assert {document.kind for document in library.values()} == {"function", "class", "method"}


def test_a_c_function_is_there_with_its_signature_cut_off(library: dict[str, Documented]) -> None:
    sleep = library["time.sleep"]
    assert sleep.text.startswith("Delay execution for a given number of seconds.")
    assert (sleep.module, sleep.name, sleep.kind) == ("time", "sleep", "function")
    assert sleep.signature.startswith("sleep(sec")


def test_a_python_function_has_its_first_paragraph_on_one_line(library: dict[str, Documented]) -> None:
    copytree = library["shutil.copytree"]
    assert copytree.text.startswith("Recursively copy a directory tree")
    assert copytree.signature.startswith("copytree(src, dst,")
    assert all("\n" not in document.text for document in library.values())


def test_well_known_names_of_c_modules(library: dict[str, Documented]) -> None:
    assert {"math.sqrt", "select.select", "os.listdir", "builtins.str.split"} <= library.keys()


def test_tests_and_private_names_are_left_out(library: dict[str, Documented]) -> None:
    assert not {"test", "idlelib", "lib2to3", "turtledemo"} & {
        d.module.split(".")[0] for d in library.values()
    }
    assert not [name for name in library if "._" in name or name.startswith("_")]


def test_texts_are_distinct_and_the_list_is_stable(library: dict[str, Documented]) -> None:
    assert len({document.text for document in library.values()}) == len(library)
    assert read_standard_library() == list(library.values())


def test_a_limit_keeps_functions_and_classes_first() -> None:
    limited = read_standard_library(limit=200)
    assert len(limited) == 200
    assert not [document for document in limited if document.kind == "method"]


def test_definitions_in_conditions_and_nested_classes_are_found() -> None:
    source = '''
if True:
    def here(a, *, b=1):
        """Do a thing
        at once.

        More."""
class Outer:
    """Hold things together."""
    def act(self):
        """Act now, please."""
    def _hidden(self):
        """Never seen at all."""
'''
    found = list(read_module("m", source))
    assert [document.id for document in found] == ["m.here", "m.Outer", "m.Outer.act"]
    assert found[0].text == "Do a thing at once."
    assert found[0].signature == "here(a, *, b=1)"
    assert [document.kind for document in found] == ["function", "class", "method"]


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Plain words\nhere.\n\nMore.", ("Plain words here.", "")),
        ("sleep(seconds)\n\nDelay it all.", ("Delay it all.", "(seconds)")),
        ("time.sleep(s) -> None\nDelay it all.", ("Delay it all.", "(s) -> None")),
        ("sleep(s) -> wait", ("sleep(s) -> wait", "")),
        ("", ("", "")),
    ],
)
def test_the_first_paragraph(docstring: str, expected: tuple[str, str]) -> None:
    assert split_docstring(docstring, "sleep") == expected
