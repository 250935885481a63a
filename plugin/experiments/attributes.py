"""What a record of UBI says of an experiment: names and forms of its `query_attributes`."""

from collections.abc import Mapping, Sequence

import msgspec

from plugin.experiments.order_comparison import OrderComparison

EXPERIMENT = "twinrank.experiment"
ARMS = "twinrank.arms"
"""All arms, the control first."""
ARM = "twinrank.arm"
UNIT = "twinrank.unit"
"""The unit's code: its name cannot be read from it."""
RUN = "twinrank.run"
"""Names the settings and the bundle that the page was made with."""
TEAMS = "twinrank.teams"
"""For each hit of an interleaved page the arm that a click on it counts for, or NOBODYS."""
DRAFT = "twinrank.draft"
"""Names the coins of an interleaved page: a unit's same query has the same ones."""

MODE = "twinrank.mode"
SHADOW = "twinrank.shadow"
"""How far each other arm's order is from the shown one: JSON, NAME -> the numbers of an OrderComparison."""

NOBODYS = "-"
"""The team of a hit whose clicks count for no arm."""


def join_names(names: Sequence[str]) -> str:
    """Return the names of arms, or the teams of a page's hits in the order shown, as one attribute."""
    return ",".join(names)


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in such an attribute."""
    return tuple(text.split(",")) if text else ()


def encode_shadow(found: Mapping[str, OrderComparison]) -> str:
    """Return the comparisons of the arms that were not shown as one attribute."""
    values = {
        name: [round(each.overlap, 4), round(each.tau, 4), each.moved, round(each.mean_change, 2)]
        for name, each in found.items()
    }
    return msgspec.json.encode(values).decode()


def decode_shadow(text: str) -> dict[str, OrderComparison]:
    """Return the comparisons in such an attribute; {} if it holds none."""
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, tuple[float, float, int, float]])
    except msgspec.DecodeError:
        return {}
    return {name: OrderComparison(*values) for name, values in found.items()}
