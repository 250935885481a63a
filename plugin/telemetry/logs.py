"""Where the server's log lines go: standard error, a search's as JSON alone on its line, all on request."""

import logging
from datetime import UTC, datetime

import msgspec
from gunicorn.glogging import Logger as GunicornLogger

from plugin.telemetry.search_log import SEARCH_LOGGER

LOGGERS = ("twinrank", SEARCH_LOGGER, "py.warnings")
"""The loggers whose lines the proxy writes."""


class JsonFormatter(logging.Formatter):
    """Writes any record as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `{"event":"log","time":...,"level":...,"logger":...,"message":...}`, and `exception`."""
        line = {
            "event": "log",
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().encode("utf-8", "backslashreplace").decode("utf-8"),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode("utf-8")


class JsonGunicornLogger(GunicornLogger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own lines as JSON."""

    def setup(self, cfg: object) -> None:
        """Set gunicorn's logging up, and then its format."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())


def log_to_stderr(*, as_json: bool = False) -> None:
    """Write what the proxy logs to standard error; searches one JSON object a line, the rest in words.

    With `as_json` the rest is JSON too; Python's warnings are among it.
    """
    rest = logging.StreamHandler()
    words = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    rest.setFormatter(JsonFormatter() if as_json else words)
    _log_through("twinrank", rest)
    json_lines = logging.StreamHandler()
    json_lines.setFormatter(logging.Formatter("%(message)s"))
    _log_through(SEARCH_LOGGER, json_lines)
    if as_json:
        logging.captureWarnings(capture=True)
        _log_through("py.warnings", rest)


def _log_through(name: str, handler: logging.Handler) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
