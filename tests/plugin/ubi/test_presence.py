"""Whether the UBI plugin is there: from the list of plugins, or from how a search is refused."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from plugin.ubi.presence import FRESH_S, PluginPresence
from plugin.upstream.client import Upstream
from tests.support.http.routed_upstream import Route, RoutedUpstream, routed
from tests.support.ubi_bodies import UNKNOWN_EXTENSION, WRONG_TYPE


@contextmanager
def presence(
    plugins: Route, search: Route | None = None
) -> Iterator[tuple[PluginPresence, RoutedUpstream, list[float]]]:
    now_s = [0.0]
    routes = {"/_cat/plugins": plugins, "/_search": search or (lambda _: (500, {}))}
    with routed(routes) as upstream, closing(Upstream(upstream.url)) as client:
        yield PluginPresence(client, lambda: now_s[0]), upstream, now_s


@pytest.mark.parametrize("is_there", [True, False])
def test_the_list_of_plugins_says_it(is_there: bool) -> None:
    rows = [{"component": "opensearch-knn"}, *([{"component": "opensearch-ubi"}] if is_there else [])]
    with presence(lambda _: (200, rows)) as (found, upstream, _):
        assert not found.is_present, "nothing is known yet"
        found.refresh(())
        assert found.is_present is is_there
        assert upstream.sent_to("/_search") == []


@pytest.mark.parametrize(("refusal", "is_there"), [(UNKNOWN_EXTENSION, False), (WRONG_TYPE, True)])
def test_a_refusal_says_it_to_who_may_not_see_the_list(refusal: object, is_there: bool) -> None:
    with presence(lambda _: (403, {}), lambda _: (400, refusal)) as (found, upstream, _):
        found.refresh((("Authorization", "Basic a"),))
        assert found.is_present is is_there
        (probe,) = upstream.sent_to("/_search")
    assert probe.headers["Authorization"] == "Basic a"


def test_it_is_asked_again_after_a_minute_and_kept_if_nothing_is_said() -> None:
    with presence(lambda _: (200, [{"component": "opensearch-ubi"}])) as (found, upstream, now_s):
        found.refresh(())
        found.refresh(())
        assert len(upstream.sent) == 1
        now_s[0] += FRESH_S
        upstream.routes["/_cat/plugins"] = lambda _: (403, {})
        found.refresh(())
        assert (len(upstream.sent), found.is_present) == (3, True)


def test_the_refusal_of_a_clients_own_search_is_remembered() -> None:
    with presence(lambda _: (200, [{"component": "opensearch-ubi"}])) as (found, _, _):
        found.refresh(())
        assert not found.learn_from(b'{"error":{"type":"parsing_exception"},"status":400}')
        assert found.is_present
        assert found.learn_from(str(UNKNOWN_EXTENSION).encode())
        assert not found.is_present
