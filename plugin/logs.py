"""Where the server's log lines go: standard error, a search's as JSON alone on its line."""

import logging

from plugin.sight import SEARCH_LOGGER


def log_to_stderr() -> None:
    """Write what the proxy logs to standard error; searches one JSON object a line, the rest in words."""
    words = logging.StreamHandler()
    words.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    _log_through("twinrank", words)
    json_lines = logging.StreamHandler()
    json_lines.setFormatter(logging.Formatter("%(message)s"))
    _log_through(SEARCH_LOGGER, json_lines)


def _log_through(name: str, handler: logging.Handler) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
