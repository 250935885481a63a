"""Units: hashed, shared out evenly, and kept in their arms."""

from collections import Counter

import pytest
from xxhash import xxh3_64_intdigest

from plugin.experiments.unit import Unit, hash_texts


def build_units(number: int, *, name: str = "autumn", salt: str = "") -> list[Unit]:
    return [Unit.build(name, salt, f"client-{n}") for n in range(number)]


def test_the_hash_is_xxh3_of_name_salt_and_unit() -> None:
    assert Unit.build("autumn", "s", "Grüße").hashed == xxh3_64_intdigest("6:autumn1:s7:Grüße".encode())
    assert hash_texts("ab", "c") != hash_texts("a", "bc")
    hash_texts("\ud800")  # half of a pair, which JSON can hold


def test_the_code_does_not_show_the_client() -> None:
    unit = Unit.build("autumn", "", "jane@example.com")
    assert len(unit.code) == 16
    assert int(unit.code, 16) == unit.hashed


@pytest.mark.parametrize("arms", [["a", "b"], ["a", "b", "c"]])
def test_arms_have_equal_chances(arms: list[str]) -> None:
    counts = Counter(unit.choose(arms) for unit in build_units(6_000))
    assert sorted(counts) == arms
    assert all(abs(count - 6_000 / len(arms)) < 200 for count in counts.values()), counts


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_a_share_takes_part_and_a_larger_one_keeps_it(share: float) -> None:
    units = build_units(6_000)
    inside = [unit for unit in units if unit.takes_part(share)]
    assert abs(len(inside) / len(units) - share) < 0.02
    assert all(unit.takes_part(min(1.0, 2 * share)) for unit in inside)
    counts = Counter(unit.choose(["a", "b"]) for unit in inside)
    assert abs(counts["a"] / len(inside) - 0.5) < 0.1


def test_another_name_or_salt_draws_anew() -> None:
    arms = ["a", "b"]
    for other in (build_units(400, name="winter"), build_units(400, salt="2")):
        same = sum(
            one.choose(arms) == two.choose(arms) for one, two in zip(build_units(400), other, strict=True)
        )
        assert 140 < same < 260
