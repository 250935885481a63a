"""Which bundle is served where none is named."""

from pathlib import Path

import click
import pytest

from plugin.options.common import LIGHT_BUNDLE, bundle_option, choose_default_bundle
from reranker.bundle import DEFAULT_BUNDLE, Bundle

X86 = "processor\t: 0\nflags\t\t: fpu sse4_2 avx2 avx512f {}\nbugs\t\t: none\n"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (X86.format("avx512_vnni"), DEFAULT_BUNDLE),
        (X86.format("avx_vnni"), DEFAULT_BUNDLE),
        (X86.format(""), LIGHT_BUNDLE),
        (X86.format("") + "model name\t: avx512_vnni\n", LIGHT_BUNDLE),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", DEFAULT_BUNDLE),
        ("", DEFAULT_BUNDLE),
    ],
    ids=["avx512", "avx", "neither", "a name is no flag", "arm", "nothing said"],
)
def test_the_light_bundle_is_the_default_where_integer_products_are_slow(
    told: str, expected: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(told)
    assert choose_default_bundle(file) == expected


def test_where_nothing_says_what_the_processor_can_do_it_is_the_usual_one(tmp_path: Path) -> None:
    assert choose_default_bundle(tmp_path / "absent") == DEFAULT_BUNDLE


def test_an_index_is_the_same_with_either() -> None:
    light, default = Bundle.open(LIGHT_BUNDLE), Bundle.open(DEFAULT_BUNDLE)
    assert (light.vectors_of, light.model_tag) == (default.vectors_of, default.model_tag)


def test_the_option_asks_when_it_is_not_given() -> None:
    @click.command()
    @bundle_option
    def command(bundle_path: Path) -> None:
        assert bundle_path == choose_default_bundle()

    command.main([], standalone_mode=False)
