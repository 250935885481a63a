"""Languages of documents and of queries, as far as a text says it."""

import pytest

from reranker.language_identifier import FOREIGN_PROBABILITY, find_foreign_probability, identify

DOCUMENTS = {
    "en": "This package contains the shared libraries that programs need to read compressed files.",
    "de": "Dieses Paket enthält die gemeinsamen Bibliotheken, die Programme zum Lesen brauchen.",
    "fr": "Ce paquet contient les bibliothèques partagées dont les programmes ont besoin.",
    "it": "Questo pacchetto contiene le librerie condivise di cui i programmi hanno bisogno.",
    "es": "Este paquete contiene las bibliotecas compartidas que necesitan los programas.",
    "pt": "Este pacote contém as bibliotecas compartilhadas de que os programas precisam.",
    "pl": "Ten pakiet zawiera biblioteki współdzielone, których potrzebują programy.",
    "ru": "Этот пакет содержит разделяемые библиотеки, которые нужны программам для чтения.",
}
ENGLISH = [
    "how to wait a bit", "what is the boiling point of water", "bathroom sink with two faucets",
    "who wrote the art of war", "deck over paint grey 5 gal",
]  # fmt: skip


@pytest.mark.parametrize("language", DOCUMENTS)
def test_a_document_has_a_language(language: str) -> None:
    assert identify(DOCUMENTS[language]) == language


@pytest.mark.parametrize("text", ["", "libfoo2 1.3", "Lesen von Dateien mit Python"])
def test_a_short_text_has_none(text: str) -> None:
    assert identify(text) is None


@pytest.mark.parametrize("text", ENGLISH)
def test_an_english_query_is_not_foreign(text: str) -> None:
    assert find_foreign_probability(text, ["en"]) < FOREIGN_PROBABILITY


@pytest.mark.parametrize("language", ["de", "fr", "it", "es", "pt", "pl"])
def test_a_query_in_another_language_is_foreign_to_those_that_do_not_read_it(language: str) -> None:
    assert find_foreign_probability(DOCUMENTS[language], ["en"]) >= FOREIGN_PROBABILITY
    assert find_foreign_probability(DOCUMENTS[language], ["en", f"{language}-XX"]) < FOREIGN_PROBABILITY


def test_of_three_words_nothing_is_said() -> None:
    assert find_foreign_probability("Bibliotheken zum Lesen", ["en"]) == 0.0
