"""Queries are identified once, after the tables were loaded beside the searches."""

from plugin.encoding.foreign_queries import ForeignQueries
from tests.support.waiting import until

GERMAN = "wie man mit diesem Programm große Dateien lesen kann"


def test_no_query_waits_for_the_tables() -> None:
    queries = ForeignQueries()
    assert not queries.are_foreign(GERMAN, ("en",)), "the answer of tables that are read already"
    until(lambda: queries.are_foreign(GERMAN, ("en",)))


def test_the_answer_is_by_the_languages_that_are_read() -> None:
    queries = ForeignQueries(waits=True)
    for _ in range(2):  # a new query, and one that is known
        assert queries.are_foreign(GERMAN, ("en",))
        assert not queries.are_foreign(GERMAN, ("en", "de"))
        assert not queries.are_foreign("how to read large files with this program", ("en",))
