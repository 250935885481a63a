"""The vector fields of indices whose names only the response holds."""

import logging
from collections.abc import Callable
from urllib.parse import quote

from opensearch.fields.redaction import redact_response
from plugin.errors import UpstreamError
from plugin.http.messages import Request
from plugin.passthrough.forward import Redaction
from plugin.settings.cache import SettingsCache

_log = logging.getLogger("twinrank")


class FieldLookup:
    """Looks up vector fields as the caller."""

    def __init__(self, settings: SettingsCache) -> None:
        self._settings = settings

    def find_fields(self, request: Request, indices: str) -> tuple[str, ...]:
        """Return the vector fields of an index; none, with a warning, if OpenSearch cannot be asked."""
        try:
            return self._settings.find_target(request, indices, {}).all_fields
        except UpstreamError as error:
            _log.warning("the vector fields of %s cannot be looked up: %s", indices, error)
            return ()

    def build_redaction(
        self, request: Request, is_asked: Callable[[str], bool], indices: str = ""
    ) -> Redaction:
        """Return what removes each index's vector fields from a response, except those asked for.

        If `filter_path` leaves an index's name out, it may be any of `indices`, or any at all.
        """
        known: dict[str, tuple[str, ...]] = {}

        def fields_of(index: str | None) -> tuple[str, ...]:
            path = indices if index is None else quote(index, safe="")
            if path not in known:
                fields = self.find_fields(request, path)
                known[path] = tuple(field for field in fields if not is_asked(field))
            return known[path]

        return lambda body: redact_response(body, fields_of)
