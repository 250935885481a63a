"""Clicks joined with the pages on which their hits were shown, and summed up for each unit.

A click counts once for a hit of a search. Of one unit only so many count: a robot with ten thousand clicks is
one unit, and must not speak louder than a person.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from plugin.experiments.attributes import NOBODYS
from plugin.experiments.order_comparison import OrderComparison

MAX_CLICKS = 100
"""Clicks of one unit that count unless another number is asked for."""


@dataclass(frozen=True)
class Impression:
    """One page as it was shown.

    Attributes:
        query_id: the search's; several pages may have the same.
        unit: the code of the unit.
        arm: the arm that answered, or `interleaved`.
        hit_ids: the hits in the order shown.
        teams: for interleaved pages the arm of each hit, or NOBODYS; else empty.
        query: names the query's text, so that a unit's repeated query is known as one.
        shadow: how far the orders that were not shown are from this one, by arm.
    """

    query_id: str
    unit: str
    arm: str
    hit_ids: tuple[str, ...]
    teams: tuple[str, ...] = ()
    query: str = ""
    shadow: Mapping[str, OrderComparison] = field(default_factory=dict)


@dataclass(frozen=True)
class Click:
    """A click of `ubi_events`: on which hit of which search."""

    query_id: str
    object_id: str


@dataclass(frozen=True)
class ClickCounts:
    """How many clicks there were, and why some do not count.

    Attributes:
        counted: those that count.
        repeated: on a hit of a search that was clicked before.
        without_impression: of a search that is not among the recorded ones.
        not_shown: on a hit that no recorded page of their search shows.
        above_limit: beyond those that count of one unit; `limited_units` have such.
    """

    counted: int = 0
    repeated: int = 0
    without_impression: int = 0
    not_shown: int = 0
    above_limit: int = 0
    limited_units: int = 0


@dataclass
class UnitActivity:
    """What one unit did: its searches, its clicks, and for interleaved pages each arm's clicks by search."""

    arm: str
    searches: set[str] = field(default_factory=set)
    num_clicks: int = 0
    credits: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def clicks_per_search(self) -> float:
        """Its clicks over its searches."""
        return self.num_clicks / len(self.searches)

    def prefers(self, treatment: str, control: str) -> float | None:
        """Return the mean over its decided searches of 1 for the treatment and -1 for the control.

        A search with as many clicks for both is 0. None if no search has a click that counts for an arm.
        """
        decided = [
            (credit[treatment] > credit[control]) - (credit[treatment] < credit[control])
            for credit in self.credits.values()
        ]
        return sum(decided) / len(decided) if decided else None


@dataclass(frozen=True)
class JoinedClicks:
    """What all units did.

    `crossed_units` had several arms, which a hash does not give them: they are left out. `leads` counts, for
    interleaved pages, which arm's hit is the first that counts, once for a unit and query: a fair coin.
    """

    units: dict[str, UnitActivity]
    clicks: ClickCounts
    crossed_units: int
    leads: Counter[str]


def join_clicks(
    impressions: Iterable[Impression], clicks: Iterable[Click], *, max_clicks: int = MAX_CLICKS
) -> JoinedClicks:
    """Join clicks, the earliest first, with the pages of their searches."""
    pages: dict[str, list[Impression]] = defaultdict(list)
    for each in impressions:
        pages[each.query_id].append(each)
    crossed = _find_crossed(pages)
    pages = {name: shown for name, shown in pages.items() if shown[0].unit not in crossed}
    units: dict[str, UnitActivity] = {}
    for query_id, shown in pages.items():
        units.setdefault(shown[0].unit, UnitActivity(shown[0].arm)).searches.add(query_id)
    return JoinedClicks(
        units, _count_clicks(pages, units, clicks, max_clicks), len(crossed), _count_leads(pages)
    )


def _find_crossed(pages: dict[str, list[Impression]]) -> set[str]:
    arms: dict[str, set[str]] = defaultdict(set)
    for shown in pages.values():
        for each in shown:
            arms[each.unit].add(each.arm)
    crossed = {unit for unit, found in arms.items() if len(found) > 1}
    for shown in pages.values():  # two clients that name their searches alike
        found = {each.unit for each in shown}
        crossed |= found if len(found) > 1 else set()
    return crossed


def _count_clicks(
    pages: dict[str, list[Impression]], units: dict[str, UnitActivity], clicks: Iterable[Click], most: int
) -> ClickCounts:
    """Give each click that counts to its unit, and return how many do and do not."""
    counts: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    limited: set[str] = set()
    for click in clicks:
        shown = pages.get(click.query_id)
        if shown is None:
            counts["without_impression"] += 1
            continue
        page = next((each for each in shown if click.object_id in each.hit_ids), None)
        if page is None:
            counts["not_shown"] += 1
            continue
        if (click.query_id, click.object_id) in seen:
            counts["repeated"] += 1
            continue
        seen.add((click.query_id, click.object_id))
        unit = units[page.unit]
        if unit.num_clicks >= most:
            limited.add(page.unit)
            counts["above_limit"] += 1
            continue
        counts["counted"] += 1
        unit.num_clicks += 1
        _credit(unit, page, click)
    return ClickCounts(**counts, limited_units=len(limited))


def _credit(unit: UnitActivity, page: Impression, click: Click) -> None:
    """Count a click for the team of its hit."""
    team = _find_team(page.teams, page.hit_ids.index(click.object_id))
    if team != NOBODYS:
        unit.credits.setdefault(click.query_id, Counter())[team] += 1


def _find_team(teams: Sequence[str], rank: int) -> str:
    return teams[rank] if rank < len(teams) else NOBODYS


def _count_leads(pages: dict[str, list[Impression]]) -> Counter[str]:
    leads: dict[tuple[str, str], str] = {}
    for shown in pages.values():
        for each in shown:
            first = next((team for team in each.teams if team != NOBODYS), None)
            if first is not None:
                leads.setdefault((each.unit, each.query), first)
    return Counter(leads.values())
