"""Switch reranking off for an index; its settings and vectors stay, so that it can be switched on again."""

from dataclasses import replace

import msgspec

from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index import mapping, metadata
from opensearch.index.enable import EnableResult
from opensearch.settings.table import settings_meta


def disable(upstream: OpenSearchClient, name: str, *, dry_run: bool = False) -> list[EnableResult]:
    """Set `enabled: false` on every index behind `name`.

    The settings are not removed: without them, a field that is still mapped would look like an accident.

    Raises:
        IndexMissingError: there is no such index.
        SettingsError: an index has no valid settings, so that it is not reranked anyway.
        RequestError: OpenSearch cannot be asked, or refuses.
    """
    found = metadata.find(upstream, name)
    if not found:
        raise IndexMissingError(f"no index {name!r}: nothing to disable")
    plans = [EnableResult(index.name, index.rerank_settings(), (), vectors_stale=False) for index in found]
    done = []
    for plan in plans:
        settings = msgspec.structs.replace(plan.settings, enabled=False)
        changes = ("enabled: True -> False",) if plan.settings.enabled else ()
        if changes and not dry_run:
            mapping.write(upstream, plan.index, settings.field, settings_meta(settings))
        done.append(replace(plan, settings=settings, changes=changes))
    return done
