"""`NAME=VALUE` on the command line, for any setting by its dotted name."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from opensearch.settings.table import SettingsError


def assigned(settings: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return the settings with those of the assignments; a value is JSON, or else a plain string.

    Raises:
        SettingsError: an assignment without a name or `=`.
    """
    result = copy.deepcopy(dict(settings))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise SettingsError(f"expected NAME=VALUE such as min_coverage=0.9, found {assignment!r}")
        *sections, key = name.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(f"expected settings below {section}, found {assignment!r} as well")
        place[key] = _value(text)
    return result


def _value(text: str) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return json.loads(text)
    except ValueError:
        return text
