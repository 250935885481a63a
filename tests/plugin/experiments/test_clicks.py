"""Clicks: which of them count, for whom, and what is told of the others."""

from collections import Counter

from plugin.experiments.clicks import Click, Impression, JoinedClicks, UnitActivity, join_clicks


def join(impressions: list[Impression], clicks: list[tuple[str, str]], most: int = 100) -> JoinedClicks:
    return join_clicks(impressions, [Click(*each) for each in clicks], max_clicks=most)


def page(query_id: str, hits: str, *, unit: str = "u", arm: str = "a", teams: str = "") -> Impression:
    return Impression(query_id, unit, arm, tuple(hits), tuple(teams), query="text")


def test_a_click_counts_once_for_a_hit_of_a_search() -> None:
    found = join([page("q", "xyz")], [("q", "x"), ("q", "x"), ("q", "z")])
    assert (found.clicks.counted, found.clicks.repeated) == (2, 1)
    assert found.units["u"].clicks_per_search == 2


def test_clicks_without_impressions_are_counted_and_left_out() -> None:
    found = join([page("q", "xyz")], [("q", "x"), ("other", "x"), ("q", "w")])
    assert found.clicks.counted == 1
    assert (found.clicks.without_impression, found.clicks.not_shown) == (1, 1)


def test_pages_of_one_search_are_one_search() -> None:
    found = join([page("q", "ab"), page("q", "cd"), page("r", "ab")], [("q", "a"), ("q", "d")])
    assert found.units["u"].searches == {"q", "r"}
    assert found.units["u"].clicks_per_search == 1


def test_a_robot_is_one_unit_whose_clicks_are_limited() -> None:
    pages = [page(f"q{n}", "ab", unit="robot") for n in range(10_000)] + [page("p", "ab", unit="person")]
    clicks = [(f"q{n}", "a") for n in range(10_000)] + [("p", "a")]
    found = join(pages, clicks)
    assert (found.clicks.counted, found.clicks.above_limit, found.clicks.limited_units) == (101, 9_900, 1)
    assert found.units["person"].num_clicks == 1


def test_teams_earn_their_own_clicks_and_nobodys_count_for_none() -> None:
    found = join([page("q", "wxyz", teams="-abb"), page("q", "v")], [("q", each) for each in "wxyzv"])
    unit = found.units["u"]
    assert unit.num_clicks == 5
    assert unit.credits == {"q": Counter(a=1, b=2)}
    assert (unit.prefers("b", "a"), unit.prefers("a", "b")) == (1, -1)


def test_a_preference_is_the_mean_over_decided_searches() -> None:
    teams = {"q": "ab", "r": "ab", "s": "ab", "t": "--"}
    found = join(
        [page(name, "xy", teams=team) for name, team in teams.items()],
        [("q", "y"), ("r", "x"), ("r", "y"), ("s", "y"), ("t", "x")],
    )
    assert found.units["u"].prefers("b", "a") == 2 / 3
    assert UnitActivity("a").prefers("b", "a") is None


def test_a_unit_in_two_arms_and_a_query_id_of_two_clients_are_left_out() -> None:
    found = join(
        [page("q", "x"), page("r", "x", arm="b"), page("s", "x", unit="v"), page("s", "x", unit="w")],
        [("q", "x"), ("s", "x")],
    )
    assert (found.units, found.crossed_units) == ({}, 3)
    assert found.clicks.without_impression == 2


def test_leads_are_counted_once_for_a_unit_and_query() -> None:
    pages = [
        page("q", "xyz", teams="-ba"),
        page("r", "xyz", teams="-ba"),
        page("s", "xy", unit="v", teams="ab"),
    ]
    assert join(pages, []).leads == Counter(a=1, b=1)
