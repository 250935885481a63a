"""Team Draft: every hit once, an order that keeps, and no credit that a coin alone decides."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.experiments.team_draft import NO_TEAM, TeamDraft, build_coin, draft_teams


def draft(first: Sequence[int], second: Sequence[int], *coins: bool) -> TeamDraft:
    """Draft with coins in the order of the rounds."""
    falls = iter(coins)
    return draft_teams(np.array(first, np.intp), np.array(second, np.intp), lambda rank: next(falls))


def shown(drafted: TeamDraft) -> list[tuple[int, int]]:
    return list(zip(drafted.order.tolist(), drafted.teams, strict=True))


def test_the_example_of_a_page() -> None:
    first, second = [0, 1, 2, 3], [1, 3, 0, 2]
    assert shown(draft(first, second, True, True)) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert shown(draft(first, second, False, True)) == [(1, 1), (0, 0), (2, 0), (3, 1)]


def test_equal_orders_have_no_teams_and_ask_for_no_coin() -> None:
    assert shown(draft([2, 0, 1], [2, 0, 1])) == [(2, NO_TEAM), (0, NO_TEAM), (1, NO_TEAM)]
    assert shown(draft([], [])) == []


def test_what_both_begin_with_is_nobodys_and_the_draft_begins_after_it() -> None:
    assert shown(draft([0, 1, 2], [0, 2, 1], True)) == [(0, NO_TEAM), (1, 0), (2, 1)]
    assert shown(draft([0, 1, 2], [0, 2, 1], False)) == [(0, NO_TEAM), (2, 1), (1, 0)]


def test_a_hit_of_equal_rank_in_both_orders_earns_nothing() -> None:
    first, second = [0, 1, 2, 3], [3, 1, 2, 0]
    for coins in itertools.product((True, False), repeat=2):
        teams = dict(shown(draft(first, second, *coins)))
        assert {teams[0], teams[3]} == {0, 1}
        assert teams[1] == teams[2] == NO_TEAM


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_a_user_who_clicks_by_rank_alone_favours_no_arm(number: int) -> None:
    """Over all coins, each rank belongs to both arms equally often, for every pair of orders."""
    num_rounds = (number + 1) // 2
    for other in itertools.permutations(range(number)):
        balance = np.zeros(number)
        for coins in itertools.product((True, False), repeat=num_rounds):
            teams = np.array(draft(range(number), other, *coins).teams)
            balance += (teams == 0).astype(int) - (teams == 1)
        assert not balance.any(), (other, balance)


orders = st.integers(1, 40).flatmap(
    lambda size: st.tuples(st.permutations(range(size)), st.permutations(range(size)))
)


@given(orders, st.text(), st.text())
def test_every_hit_is_shown_once_and_pages_agree(
    both: tuple[list[int], list[int]], unit: str, text: str
) -> None:
    first, second = (np.array(order, np.intp) for order in both)
    drafted = draft_teams(first, second, build_coin("autumn", unit, text))
    assert sorted(drafted.order.tolist()) == list(range(len(first)))
    again = draft_teams(first, second, build_coin("autumn", unit, f"  {text.upper()} ".lower()))
    if text.casefold() == text.upper().lower():
        assert shown(again) == shown(drafted)


@given(orders, st.text())
def test_arms_that_change_places_change_teams(both: tuple[list[int], list[int]], unit: str) -> None:
    first, second = (np.array(order, np.intp) for order in both)
    coin = build_coin("autumn", unit, "wait")
    drafted = draft_teams(first, second, coin)
    mirrored = draft_teams(second, first, lambda rank: not coin(rank))
    assert drafted.order.tolist() == mirrored.order.tolist()
    assert [{0: 1, 1: 0}.get(team, team) for team in drafted.teams] == list(mirrored.teams)


def test_coins_are_fair_and_belong_to_unit_query_and_rank() -> None:
    falls = [build_coin("autumn", f"client-{n}", "wait")(rank) for n in range(500) for rank in (0, 2, 4)]
    assert 650 < sum(falls) < 850
    one = [build_coin("autumn", "a", "how to  Wait")(rank) for rank in range(64)]
    assert one == [build_coin("autumn", "a", " How TO wait")(rank) for rank in range(64)]
    assert one != [build_coin("autumn", "b", "how to wait")(rank) for rank in range(64)]
    assert one != [build_coin("autumn", "a", "how to wait 2")(rank) for rank in range(64)]
    assert one != [build_coin("winter", "a", "how to wait")(rank) for rank in range(64)]


@given(orders, st.integers(0, 50))
def test_a_page_is_as_it_is_if_more_is_drafted(both: tuple[list[int], list[int]], depth: int) -> None:
    first, second = (np.array(order, np.intp) for order in both)
    coin = build_coin("autumn", "anna", "wait")
    whole, page = draft_teams(first, second, coin), draft_teams(first, second, coin, depth)
    assert shown(page)[:depth] == shown(whole)[:depth]
    assert sorted(page.order.tolist()) == list(range(len(first)))
    assert set(page.teams[depth + 1 :]) <= {NO_TEAM}
