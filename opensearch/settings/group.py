"""The base of every group of settings."""

import msgspec


class SettingsGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and an unknown key is an error: a misspelt setting must not count as its default."""
